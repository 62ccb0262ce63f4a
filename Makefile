# make demo | test | setup | lint | docs | clean; variables stand below.
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

PY = $$(bash tools/setup_env.sh --python)
# torch's threads of one process wait for each other, for seconds where other programs run; two
# processes of one thread do not
export OMP_NUM_THREADS = 1

.PHONY: setup demo test lint docs clean

setup:
	@bash tools/setup_env.sh

demo: setup
	$(PY) data_converters/synthesize_vkitti2.py $(RAW) --frames $(FRAMES) --size $(SIZE) --seed 0
	$(PY) data_converters/vkitti2.py $(RAW) --out $(DATA)
	PYTHON=$(PY) tools/dist_train.sh $(CONFIG) 2 --work-dir $(WORK_DIR)
	PYTHON=$(PY) tools/dist_test.sh $(CONFIG) $$(cat $(WORK_DIR)/last_checkpoint) 2 \
	    --work-dir $(WORK_DIR) --out $(WORK_DIR)/metrics.json --show-dir $(WORK_DIR)/pictures
	@echo "The pictures lie in $(WORK_DIR)/pictures, the metrics in $(WORK_DIR)/metrics.json"

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
