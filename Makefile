# make demo | weights | test | setup | lint | docs | clean; variables stand below.
STACK ?= onedl
ARGS ?=
export STACK

# the demo: frames per scene, each in six variations, and size of the pictures
FRAMES ?= 60
SIZE ?= 416x128
RAW = data/minivkitti_raw
DATA = data/minivkitti
CONFIG = configs/pandepth_lite/pandepth_lite0_minivkitti.py
WORK_DIR = work_dirs/demo

# the shipped weights: more rendered data, and the parts of their training
LITE = configs/pandepth_lite/pandepth_lite0_minivkitti
MORE = data/minivkitti_more
PARTS = --frames 30 --scenes Scene01 Scene06 Scene20 --variations clone morning rain

PY = $$(bash tools/setup_env.sh --python)
# torch's threads of one process wait for each other, for seconds where other programs run; two
# processes of one thread do not
export OMP_NUM_THREADS = 1

.PHONY: setup data demo weights test lint docs clean

setup:
	@bash tools/setup_env.sh

data: setup
	$(PY) data_converters/synthesize_vkitti2.py $(RAW) --frames $(FRAMES) --size $(SIZE) --seed 0
	$(PY) data_converters/vkitti2.py $(RAW) --out $(DATA)

demo: data
	PYTHON=$(PY) tools/dist_train.sh $(CONFIG) 2 --work-dir $(WORK_DIR)
	PYTHON=$(PY) tools/dist_test.sh $(CONFIG) $$(cat $(WORK_DIR)/last_checkpoint) 2 \
	    --work-dir $(WORK_DIR) --out $(WORK_DIR)/metrics.json --show-dir $(WORK_DIR)/pictures
	@echo "The pictures lie in $(WORK_DIR)/pictures, the metrics in $(WORK_DIR)/metrics.json"

# hours; started again, it goes on where it was stopped
weights: data
	for s in 1 2 3 4 5 6 7 8; do \
	    $(PY) data_converters/synthesize_vkitti2.py $(MORE)/raw$$s --size 832x256 --seed $$s $(PARTS) && \
	    $(PY) data_converters/vkitti2.py $(MORE)/raw$$s --out $(MORE)/seed$$s || exit 1; \
	done
	for s in 5 6 7 8; do \
	    $(PY) data_converters/synthesize_vkitti2.py $(MORE)/raw_tall$$s --size 640x480 --seed $$s $(PARTS) && \
	    $(PY) data_converters/vkitti2.py $(MORE)/raw_tall$$s --out $(MORE)/tall$$s || exit 1; \
	done
	PYTHON=$(PY) tools/dist_train.sh $(LITE)_first.py 2 --resume
	$(PY) tools/train.py $(LITE)_second.py --resume
	$(PY) tools/train.py $(LITE)_third.py --resume
	$(PY) tools/train.py $(LITE)_long.py --resume

# two processes of one thread each; make test ARGS="-m slow" for the long ones
test: setup
	$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

lint: setup
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m codespell_lib pandepth_mm data_converters configs demo tools tests docs README.md

# the documentation site, in site/; warnings are errors
docs: setup
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

clean:
	rm -rf build dist site *.egg-info .pytest_cache .ruff_cache work_dirs
	find pandepth_mm data_converters tests tools -name __pycache__ -prune -exec rm -rf {} +
