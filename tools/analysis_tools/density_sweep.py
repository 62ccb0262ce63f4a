r"""Evaluate one checkpoint under other densities and patterns of its input.

    python tools/analysis_tools/density_sweep.py CONFIG CKPT \
        --densities 0.005 0.01 0.02 0.05 0.1 --lines 8 16 32 64 \
        --figure sweep.png

Densities are fractions of the image's pixels, sampled at random as the converter samples them;
lines are beams of a rotating LiDAR at the camera's place. Both are sampled from the dense depth at
the image's original size and then resized to the network's, see ResampleSparseDepth. The density in
the table is that of the network's input. Where the annotations name no dense depth, the given input
is thinned: to at most its own density, and without scan lines.

The ground truth that depth is compared with stays the same. It is a sample too: the denser the
input, the more of its pixels are given in the input (unseen RMSE leaves those out). And it covers
the whole image. Scan lines do not: with the default elevations none measures what is more than 2
degrees above the horizon, and no number of lines makes up for that.

Every setting is written to --out when it is finished. A run that was stopped goes on with those
that are missing, and a finished one draws its figure again; another checkpoint, config, annotation
file or option of the sampling is refused there.
"""

import argparse
import copy
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import ProgressBar

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.datasets.transforms.resample_sparse_depth import check_thinning
from pandepth_mm.engine.launch import (
    add_common_arguments,
    apply_test_flags,
    build_runner,
    load_config,
)
from pandepth_mm.engine.sweep_tables import format_ratios, format_sweep
from pandepth_mm.errors import InputError, require_choice
from pandepth_mm.evaluation.metrics_file import plain
from pandepth_mm.fileio import read_depth_png, read_json, write_json
from pandepth_mm.geometry.lidar import AZIMUTH_STEP, ELEVATION
from pandepth_mm.registry import DATASETS, TRANSFORMS, set_default_scope, type_name
from pandepth_mm.visualization.figures.density import draw_density_curves

FIGURE_SUFFIXES = ('.png', '.pdf', '.svg')


class Setting(NamedTuple):
    """One row: ``kind`` is 'random' (a density) or 'lines' (a number)."""

    kind: str
    value: int | float

    @property
    def name(self) -> str:
        """How the setting is called in the table and the file."""
        return f'{self.value} lines' if self.kind == 'lines' else f'random {self.value!r}'


class ProgressHook(Hook):
    """One bar over the images of all settings, on stderr."""

    def __init__(self, images: int) -> None:
        self.bar = ProgressBar(images, file=sys.stderr)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: Sequence = ()
    ) -> None:
        """Count the images of all processes; a sampler may repeat some."""
        left = self.bar.task_num - self.bar.completed
        if done := min(len(outputs) * get_world_size(), left):
            self.bar.update(done)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Keep the log off the line of the bar."""
        self.bar.file.write('\n')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Evaluate a checkpoint under other sparse inputs')
    add = parser.add_argument
    add('config', help='config file')
    add('checkpoint', help='checkpoint file')
    add(
        '--densities',
        type=float,
        nargs='+',
        default=[],
        metavar='D',
        help='random inputs: fractions of the pixels',
    )
    add(
        '--lines', type=int, nargs='+', default=[], metavar='N', help='scan lines: numbers of beams'
    )
    add(
        '--azimuth-step',
        type=float,
        default=AZIMUTH_STEP,
        metavar='DEG',
        help='between two measurements of a beam (%(default)s)',
    )
    add(
        '--elevation',
        type=float,
        nargs=2,
        default=ELEVATION,
        metavar=('MIN', 'MAX'),
        help='lowest and highest beam in degrees, positive upwards '
        '(%(default)s, like a Velodyne HDL-64E, but evenly spaced)',
    )
    add(
        '--max-depth',
        type=float,
        metavar='M',
        help="nothing is measured beyond (info.max_depth of the annotations, else the model's)",
    )
    add('--seed', type=int, help='of the random samples (info.seed of the annotations, else 0)')
    add('--out', metavar='JSON', help='results so far (density_sweep.json in the work dir)')
    add('--figure', metavar='PNG', help='draw RMSE against density')
    add_common_arguments(parser)
    # apply_test_flags reads them
    parser.set_defaults(show_dir=None, optimize=True, precision='fp32')
    return parser.parse_args()


def make_settings(args: argparse.Namespace) -> list[Setting]:
    """The rows that are asked for, thinnest first, each once.

    Raises:
        InputError: There are none.
    """
    if not args.densities and not args.lines:
        raise InputError('--densities, --lines', 'neither', 'at least one of them')
    return [Setting('random', d) for d in sorted(set(args.densities))] + [
        Setting('lines', n) for n in sorted(set(args.lines))
    ]


def check_outputs(args: argparse.Namespace) -> None:
    """Refuse folders, and a figure's name that matplotlib cannot write."""
    for flag, path in (('--out', args.out), ('--figure', args.figure)):
        if path and os.path.isdir(path):
            raise InputError(flag, f'{path}, a folder', 'a file name')
    if args.figure:
        require_choice(os.path.splitext(args.figure)[1], FIGURE_SUFFIXES, args.figure, '--figure')


def check_config(cfg: Config, source: str) -> None:
    """Refuse a config that a sweep cannot evaluate.

    Raises:
        InputError: No test data, no pipeline with a sparse depth, or no DepthMetric under its own
            name.
    """
    pipeline = ((cfg.get('test_dataloader') or {}).get('dataset') or {}).get('pipeline')
    if not pipeline or find_loading(pipeline) is None:
        raise InputError(
            source,
            "no LoadDepthMap(key='sparse_depth')",
            'a test pipeline that loads the input to replace',
            'test_dataloader.dataset.pipeline',
        )
    if not any(
        type_name(m) == 'DepthMetric' and m.get('prefix') in (None, 'depth')
        for m in metrics_of(cfg)
    ):
        raise InputError(
            source,
            'no DepthMetric with the prefix "depth"',
            'a model of depth, and its metric',
            'test_evaluator',
        )


def metrics_of(cfg: Config) -> list[dict]:
    """The configs of the test's metrics."""
    metrics = cfg.get('test_evaluator') or []
    return [metrics] if isinstance(metrics, dict) else list(metrics)


def find_loading(pipeline: list[dict]) -> int | None:
    """Place of the transform that loads the sparse depth, if any."""
    for i, transform in enumerate(pipeline):
        if type_name(transform) == 'LoadDepthMap' and transform.get('key') == 'sparse_depth':
            return i
    return None


def sampling_of(args: argparse.Namespace) -> dict:
    """Arguments of ResampleSparseDepth that the command line gives."""
    return dict(
        azimuth_step=args.azimuth_step, elevation=tuple(args.elevation), max_depth=args.max_depth
    )


def complete_sampling(
    args: argparse.Namespace, cfg: Config, dataset, settings: list[Setting]
) -> dict:
    """Arguments of ResampleSparseDepth that all settings share.

    Raises:
        InputError: Some frame has no dense depth, and the settings need it.
    """
    info = read_json(dataset.ann_file).get('info') or {}
    records = [dataset.get_data_info(i) for i in range(len(dataset))]
    lacking = sum('dense_depth_path' not in r for r in records)
    sampling = sampling_of(args)
    if args.max_depth is None:
        sampling['max_depth'] = info.get('max_depth') or cfg.model.get('max_depth')
    sampling['seed'] = info.get('seed', 0) if args.seed is None else args.seed
    sampling['source'] = 'sparse_depth' if lacking else 'dense_depth'
    if not lacking:
        return sampling
    if any(s.kind == 'lines' for s in settings):
        raise InputError(
            dataset.ann_file,
            f'no dense_depth_file for {lacking} of {len(records)} images',
            'one for each: --lines are sampled from the dense depth',
            'images',
        )
    densest = max(s.value for s in settings)
    for record in records:
        depth = read_depth_png(record['sparse_depth_path'], record['sparse_depth_scale'])
        if sampling['max_depth'] is not None:
            depth[depth > sampling['max_depth']] = 0
        check_thinning(record, depth, densest)
    return sampling


def make_transforms(settings: list[Setting], sampling: dict) -> dict[Setting, dict]:
    """Config of the transform of each setting.

    Raises:
        InputError: A value that the transform refuses.
    """
    kind = dict(type='pandepth_mm.ResampleSparseDepth')
    names = dict(random='density', lines='lines')
    transforms = {s: kind | {names[s.kind]: s.value} | sampling for s in settings}
    for transform in transforms.values():
        TRANSFORMS.build(transform)
    return transforms


def make_stamp(cfg: Config, checkpoint: str, ann_file: str, sampling: dict) -> dict:
    """What the results of one file must have in common."""
    weights = checkpoint.encode()  # of a URL, its name
    if os.path.isfile(checkpoint):
        weights = Path(checkpoint).read_bytes()
    parts = (cfg.model, cfg.test_dataloader.dataset, cfg.test_evaluator, cfg.get('test_cfg'))
    text = json.dumps(parts, sort_keys=True, default=str)
    contents = dict(
        checkpoint=weights, config=text.encode(), annotations=Path(ann_file).read_bytes()
    )
    digests = {name: hashlib.sha256(data).hexdigest()[:16] for name, data in contents.items()}
    return digests | plain(sampling)


def read_results(path: str, stamp: dict) -> dict[str, dict]:
    """The results so far.

    Args:
        path: The file; it may be missing.
        stamp: What must be the same in it.

    Returns:
        Results by the settings' names.

    Raises:
        InputError: It is not a file of this tool, or it is one of another sweep.
    """
    if not os.path.exists(path):
        return {}
    data = read_json(path)
    if not isinstance(data.get('stamp'), dict) or not isinstance(data.get('results'), dict):
        raise InputError(
            path, 'a file without stamp and results', 'the file of a density sweep, or none (--out)'
        )
    pairs = [(key, data['stamp'].get(key), value) for key, value in stamp.items()]
    pairs = [pair for pair in pairs if pair[1] != pair[2]]
    if pairs:
        found = ', '.join(f'{key} {there}' for key, there, _ in pairs)
        wanted = ', '.join(f'{key} {here}' for key, _, here in pairs)
        raise InputError(
            path, f'results of another sweep: {found}', f'{wanted} (or another --out)', 'stamp'
        )
    return data['results']


def evaluate(
    cfg: Config, args: argparse.Namespace, transforms: dict[Setting, dict], data: dict, out: str
) -> None:
    """Evaluate settings one after the other with one model.

    Args:
        cfg: The config with its checkpoint.
        args: The command line.
        transforms: What is still to be done.
        data: Content of the file; the results are added to it.
        out: The file, written after each setting.
    """
    cfg.test_evaluator = [*metrics_of(cfg), dict(type='pandepth_mm.InputDensityMetric')]
    runner = build_runner(cfg, args.trust_checkpoint)
    loop = runner.test_loop
    images = len(loop.dataloader.dataset)
    if is_main_process():
        runner.register_hook(ProgressHook(images * len(transforms)))
    for setting, transform in transforms.items():
        loader = copy.deepcopy(cfg.test_dataloader)
        pipeline = loader.dataset.pipeline
        pipeline.insert(find_loading(pipeline) + 1, transform)
        loop.dataloader = runner.build_dataloader(loader, seed=runner.seed)
        metrics = runner.test()  # loads the checkpoint the first time only
        data['results'][setting.name] = dict(
            kind=setting.kind, value=setting.value, images=images, metrics=plain(metrics)
        )
        if is_main_process():
            write_json(out, data)


@cli_main
def main() -> None:
    """Evaluate what is missing, print the tables, draw the figure."""
    args = parse_args()
    settings = make_settings(args)
    check_outputs(args)
    cfg = load_config(args)
    apply_test_flags(cfg, args)
    check_config(cfg, args.config)
    set_default_scope()
    make_transforms(settings, sampling_of(args))  # a wrong flag fails before the data are read
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    sampling = complete_sampling(args, cfg, dataset, settings)
    transforms = make_transforms(settings, sampling)
    out = args.out or os.path.join(cfg.work_dir, 'density_sweep.json')
    stamp = make_stamp(cfg, args.checkpoint, dataset.ann_file, sampling)
    done = read_results(out, stamp)
    data = dict(config=args.config, checkpoint=args.checkpoint, stamp=stamp, results=done)
    missing = {s: transform for s, transform in transforms.items() if s.name not in done}
    if missing:
        evaluate(cfg, args, missing, data, out)
    if not is_main_process():
        return
    # random ones first, thinnest first
    order = sorted(done, key=lambda name: (done[name]['kind'] == 'lines', done[name]['value']))
    results = {name: done[name] for name in order}
    print(
        f'{len(dataset)} images; inputs sampled from the {sampling["source"].replace("_", " ")} '
        f'up to {sampling["max_depth"]} m, seed {sampling["seed"]}; scan lines from '
        f'{sampling["elevation"][0]} to {sampling["elevation"][1]} degrees, '
        f'every {sampling["azimuth_step"]} degrees of azimuth'
    )
    print(f'{format_sweep(results)}\n\n{format_ratios(results)}')
    print(f'results: {out}')
    if args.figure:
        draw_density_curves(
            results, f'{os.path.basename(args.checkpoint)}, {len(dataset)} images', args.figure
        )
        print(f'figure: {args.figure}')


if __name__ == '__main__':
    main()
