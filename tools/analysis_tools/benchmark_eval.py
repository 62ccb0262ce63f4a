"""Time the evaluation, and compare its numbers with panopticapi's.

    pip install --no-deps panopticapi-lite
    python tools/analysis_tools/benchmark_eval.py [--frames 20] [--repeats 3]

Frames are made here: street-like panoptic maps with things and stuff, void, dense depth, and
predictions that are wrong in parts. One process against one process, one thread each, CPU time, the
least of the repeats:

* from the same PNG files to the same numbers: PQ and DPQ at three lambdas,
  ours in one pass over two panoptic and two depth PNGs per frame; panopticapi
  four times over two panoptic PNGs. For it the prediction with voided pixels
  lies ready on the disk: neither making nor writing those files is counted.
* PQ from arrays in memory: ours against panopticapi's own code, whose image
  reading is replaced by the arrays.
* Beside: the depth errors, and the fills of 20,000 measured pixels against
  SciPy's interpolator of scattered data, which computes the planar
  fill except for the pixels outside the hull.

The tool fails if the numbers differ by more than 1e-9. With ``--config`` it runs a test of that
config instead and prints the metrics' share of it; fills are left out.
"""

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.functional import (
    FILLS,
    depth_error_bins,
    depth_panoptic_stats,
    depth_panoptic_summary,
    depth_row,
    overlap_table,
    panoptic_stats,
)
from pandepth_mm.evaluation.functional.depth_panoptic import num_bins
from pandepth_mm.fileio import (
    DEPTH_PNG_MAX,
    KITTI_DEPTH_SCALE,
    read_depth_png,
    read_panoptic_png,
    write_depth_png,
    write_panoptic_png,
)

LAMBDAS = (0.1, 0.25, 0.5)
NUM_THINGS, NUM_CLASSES = 3, 14
HEIGHT, WIDTH = 375, 1242
MEASURED = 20_000  # pixels with sparse depth
GT_SCALE = 100.0  # units per meter
TOLERANCE = 1e-9
CATEGORIES = {c: dict(id=c, isthing=int(c < NUM_THINGS)) for c in range(NUM_CLASSES)}
IS_THING = [c < NUM_THINGS for c in range(NUM_CLASSES)]


class Frame(NamedTuple):
    """Segments of one frame; its maps are in files of its name."""

    name: str
    gt: list[dict]
    pred: dict[str, list[dict]]  # by folder: 'pred' and one per lambda


def smooth(rng: np.random.Generator, cells: tuple) -> np.ndarray:
    """A smooth random field, (HEIGHT, WIDTH), mean 0, deviation about 1."""
    field = rng.normal(0, 1, cells).astype(np.float32)
    return cv2.resize(field, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def make_frame(rng: np.random.Generator, root: Path, name: str) -> Frame:
    """Write the files of one frame."""
    rows, cols = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    # stuff: bands with rough borders, one class each; the uppermost void, the second sky, which has
    # no depth
    band = rows + 25 * smooth(rng, (6, 20)) + 3 * smooth(rng, (60, 200))
    labels = np.clip(band * 12 / HEIGHT, 0, 11).astype(int)
    gt = rng.permutation(np.arange(1, 256**3 - 1, 5003))[:80]  # ids
    classes = dict(enumerate([-1, *range(NUM_THINGS, NUM_CLASSES)]))
    depth = 900 / (10 + np.maximum(rows - 100, 0))
    depth *= np.exp(0.05 * smooth(rng, (20, 60)))  # uneven ground
    for thing in range(12, 12 + rng.integers(8, 26)):
        y, x = rng.uniform(100, 340), rng.uniform(0, WIDTH)
        size = 8 + (y - 100) * rng.uniform(0.1, 0.6)
        inside = ((rows - y) / size) ** 2 + ((cols - x) / (1.6 * size)) ** 2 < 1
        labels[inside] = thing
        depth[inside] = 900 / (10 + y - 100)
        classes[thing] = int(rng.integers(NUM_THINGS))
    ids = np.where(labels == 0, 0, gt[labels])
    segments = _segments(ids, {int(gt[k]): c for k, c in classes.items()})
    for segment in segments:
        segment['iscrowd'] = int(segment['category'] < NUM_THINGS and rng.random() < 0.05)

    # prediction: shifted borders, some classes wrong, some parts void
    moved = cv2.remap(
        labels.astype(np.float32),
        cols + 3 * smooth(rng, (8, 24)),
        rows + 3 * smooth(rng, (8, 24)),
        cv2.INTER_NEAREST,
    )
    moved = moved.astype(int)
    other = {
        k: int(rng.integers(NUM_CLASSES)) if c < 0 or rng.random() < 0.15 else c
        for k, c in classes.items()
    }
    offset = 7
    pred = np.where(smooth(rng, (10, 30)) > 2, 0, gt[moved] + offset)
    pred_segments = _segments(pred, {int(gt[k]) + offset: c for k, c in other.items()})

    write_panoptic_png(root / f'gt/{name}', ids)
    write_panoptic_png(root / f'pred/{name}', pred)
    gt_depth = np.where(labels == 1, DEPTH_PNG_MAX / GT_SCALE, depth)
    write_depth_png(root / f'gt_depth_map/{name}', gt_depth, GT_SCALE)
    guess = depth * np.exp(0.15 * smooth(rng, (20, 60)))
    write_depth_png(root / f'depth_pred/{name}', np.minimum(guess, 255))
    frame = Frame(name, segments, dict(pred=pred_segments))

    # what DPQ means, for a tool that knows PQ only
    gt_depth, guess = read_depths(root, name)
    with np.errstate(divide='ignore'):  # no ground truth: not voided below
        error = np.abs(guess - gt_depth) / gt_depth
    for limit in LAMBDAS:
        voided = np.where((gt_depth > 0) & (error > limit), 0, pred)
        write_panoptic_png(root / f'void{limit}/{name}', voided)
        left = set(np.unique(voided).tolist())
        frame.pred[f'void{limit}'] = [dict(s) for s in pred_segments if s['id'] in left]
    return frame


def read_depths(root: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Depth ground truth as in Virtual KITTI 2, and prediction as in KITTI."""
    return (
        read_depth_png(root / f'gt_depth_map/{name}', GT_SCALE, invalid=DEPTH_PNG_MAX),
        read_depth_png(root / f'depth_pred/{name}', KITTI_DEPTH_SCALE),
    )


def _segments(ids: np.ndarray, classes: dict[int, int]) -> list[dict]:
    """The segments of a map."""
    return [
        dict(
            id=int(i), category=classes[int(i)], category_id=classes[int(i)], area=int(n), iscrowd=0
        )
        for i, n in zip(*np.unique(ids, return_counts=True), strict=True)
        if i
    ]


def ours(frames: list[Frame], root: Path) -> dict:
    """PQ and DPQ from the files, in one pass."""
    total = np.zeros((1 + len(LAMBDAS), NUM_CLASSES, 4))
    for frame in frames:
        gt = read_panoptic_png(root / f'gt/{frame.name}')
        pred = read_panoptic_png(root / f'pred/{frame.name}')
        gt_depth, depth = read_depths(root, frame.name)
        segments = frame.pred['pred']
        table = overlap_table(
            gt,
            pred,
            [s['id'] for s in frame.gt],
            [s['id'] for s in segments],
            depth_error_bins(gt_depth, depth, LAMBDAS),
            num_bins(LAMBDAS),
        )
        total += depth_panoptic_stats(table, frame.gt, segments, NUM_CLASSES)
    return depth_panoptic_summary(total, IS_THING, LAMBDAS)


def panopticapi(frames: list[Frame], root: Path, folder: str):
    """Panopticapi's statistics of one folder of predictions."""
    evaluation = _evaluation()
    annotations = [
        [
            dict(image_id=f.name, file_name=f.name, segments_info=[dict(s) for s in segments])
            for segments in (f.gt, f.pred[folder])
        ]
        for f in frames
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        return evaluation.pq_compute_single_core(
            0, annotations, root / 'gt', root / folder, CATEGORIES
        )


def _evaluation():
    """panopticapi, or say how to get it."""
    try:
        from panopticapi import evaluation
    except ImportError:
        raise InputError(
            'panopticapi', 'no such package', 'pip install --no-deps panopticapi-lite'
        ) from None
    return evaluation


@contextlib.contextmanager
def images_from(arrays: dict[str, np.ndarray]):
    """Let panopticapi take id maps from memory in place of reading files."""
    evaluation = _evaluation()
    kept = evaluation.Image, evaluation.rgb2id
    evaluation.Image = SimpleNamespace(open=lambda path: arrays[str(path)])
    evaluation.rgb2id = lambda ids: ids
    try:
        yield
    finally:
        evaluation.Image, evaluation.rgb2id = kept


def compare(summary: dict, stats: dict[str, object]) -> float:
    """Largest difference between our numbers and panopticapi's."""
    worst = 0.0
    for name, stat in stats.items():
        keys = dict(PQ='pq', SQ='sq', RQ='rq') if name == 'PQ' else {name: 'pq'}
        for suffix, things in (('', None), ('_th', True), ('_st', False)):
            theirs, per_class = stat.pq_average(CATEGORIES, things)
            for mine, key in keys.items():
                worst = max(worst, abs(summary[mine + suffix] - theirs[key]))
                for label, values in per_class.items():
                    value = np.nan_to_num(summary['per_class'][mine][label])
                    worst = max(worst, abs(value - values[key]))
    return worst


def seconds(run: Callable[[], object], repeats: int) -> float:
    """CPU time of one run, the least of several."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def interpolate(sparse: np.ndarray) -> np.ndarray:
    """The planar fill by SciPy; NaN outside the hull."""
    inverse = LinearNDInterpolator(np.argwhere(sparse > 0), 1 / sparse[sparse > 0])
    return 1 / inverse(*np.indices(sparse.shape))


def benchmark(frames: list[Frame], root: Path, repeats: int) -> bool:
    """Print the table; return whether the numbers are equal."""
    names = {'PQ': 'pred', **{f'DPQ@{x:g}': f'void{x}' for x in LAMBDAS}}
    stats = {n: panopticapi(frames, root, d) for n, d in names.items()}
    worst = compare(ours(frames, root), stats)
    pairs = [
        (
            read_panoptic_png(root / f'gt/{f.name}'),
            f.gt,
            read_panoptic_png(root / f'pred/{f.name}'),
            f.pred['pred'],
        )
        for f in frames
    ]
    arrays = {}
    for frame, (gt, _, pred, _) in zip(frames, pairs, strict=True):
        arrays[str(root / 'gt' / frame.name)] = gt
        arrays[str(root / 'pred' / frame.name)] = pred

    def row(title, mine, other=None):
        text = f'{title:<38}{1e3 * mine / len(frames):10.2f}'
        if other is not None:
            text += f'{1e3 * other / len(frames):14.2f}{other / mine:9.1f}x'
        print(text)

    print(
        f'{len(frames)} frames of {WIDTH} x {HEIGHT}, segments: '
        f'{np.mean([len(f.gt) for f in frames]):.0f} true, '
        f'{np.mean([len(f.pred["pred"]) for f in frames]):.0f} predicted\n'
    )
    print(f'{"CPU ms per frame":<38}{"ours":>10}{"panopticapi":>14}{"ratio":>10}')
    row(
        'PQ + DPQ at 3 lambdas, from files',
        seconds(lambda: ours(frames, root), repeats),
        seconds(lambda: [panopticapi(frames, root, d) for d in names.values()], repeats),
    )
    with images_from(arrays):
        row(
            'PQ, from arrays',
            seconds(lambda: [panoptic_stats(*p, NUM_CLASSES) for p in pairs], repeats),
            seconds(lambda: panopticapi(frames, root, 'pred'), repeats),
        )

    gt_depths, depths = zip(*[read_depths(root, f.name) for f in frames], strict=True)
    row(
        'depth errors, every pixel',
        seconds(lambda: [depth_row(t, d) for t, d in zip(gt_depths, depths, strict=True)], repeats),
    )
    title = f'fills of {MEASURED} pixels, CPU ms per frame'
    print(f'\n{title:<38}{"ours":>10}{"SciPy":>14}{"ratio":>10}')
    rng = np.random.default_rng(0)
    sparse = [np.where(rng.permutation(d.size).reshape(d.shape) < MEASURED, d, 0) for d in depths]
    scipy_seconds = seconds(lambda: [interpolate(s) for s in sparse], repeats)
    for name, fill in FILLS.items():
        row(name, seconds(lambda fill=fill: [fill(s) for s in sparse], repeats), scipy_seconds)
    same = worst <= TOLERANCE
    print(
        f'\nlargest difference of PQ, SQ, RQ and DPQ: {worst:.1e} '
        f'({"equal" if same else f"more than {TOLERANCE:g}"})'
    )
    return same


def share_of_evaluation(args: argparse.Namespace) -> None:
    """Run a test of a config and print how long its metrics took."""
    import torch

    from pandepth_mm.engine.launch import build_runner, load_config
    from pandepth_mm.registry import type_name

    cfg = load_config(args)
    if args.checkpoint:
        cfg.load_from = args.checkpoint
    if args.frames:
        cfg.test_dataloader.dataset.indices = args.frames
    metrics = cfg.test_evaluator
    for metric in [metrics] if isinstance(metrics, dict) else metrics:
        if type_name(metric).startswith('Depth'):
            metric['fills'] = ()
    runner = build_runner(cfg, args.trust_checkpoint)
    spent: dict[str, float] = {}

    def timed(name, function):

        def wrapper(*inputs, **options):
            if torch.cuda.is_available():  # what the model still computes
                torch.cuda.synchronize()
            start = time.perf_counter()
            result = function(*inputs, **options)
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - start
            return result

        return wrapper

    for metric in runner.test_loop.evaluator.metrics:
        for method in ('process', 'evaluate'):
            setattr(metric, method, timed(f'{metric.prefix}.{method}', getattr(metric, method)))
    start = time.perf_counter()
    runner.test()
    total = time.perf_counter() - start
    print(f'\n{"seconds, wall":<28}{"":>10}{"share":>10}')
    for name, value in {**spent, 'all metrics': sum(spent.values()), 'test run': total}.items():
        print(f'{name:<28}{value:10.2f}{100 * value / total:9.1f}%')


@cli_main
def main() -> None:
    """Run the benchmark."""
    from pandepth_mm.engine.launch import add_common_arguments

    parser = argparse.ArgumentParser(description='Time the evaluation')
    parser.add_argument(
        '--frames', type=int, help='number of frames; default 20, with --config all'
    )
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--config', help='print the share of evaluation in a test of it')
    parser.add_argument('--checkpoint', help='with --config: weights')
    add_common_arguments(parser)
    args = parser.parse_args()
    for name in ('frames', 'repeats'):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise InputError(f'--{name}', str(value), 'a number > 0')
    if args.config:
        share_of_evaluation(args)
        return
    cv2.setNumThreads(1)
    _evaluation()
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        frames = [make_frame(rng, root, f'{i}.png') for i in range(args.frames or 20)]
        if not benchmark(frames, root, args.repeats):
            raise SystemExit(1)


if __name__ == '__main__':
    main()
