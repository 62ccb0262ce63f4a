"""Draw the learning curves of a run.

    python tools/analysis_tools/plot_curves.py WORK_DIR --out curves.png

A folder stands for the scalars.json files below it, one per start of the training, which make one
curve. The losses of the training are on the left, metrics of the validation, if any, on the right.
"""

import argparse
import json
from pathlib import Path

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.errors import InputError
from pandepth_mm.visualization.figures.styles import new_figure, save_figure

Curves = dict[str, list[tuple[int, float]]]
METRICS = ('panoptic/PQ', 'semantic/mIoU', 'instance/segm_mAP')
DEPTH_METRICS = ('depth/rmse', 'depth/mae')
# Where mmengine puts scalars.json, seen from a work_dir or a folder in it.
_PLACES = ('scalars.json', 'vis_data/scalars.json', '*/vis_data/scalars.json')
# Of Okabe and Ito, which color-blind readers can tell apart; the markers say the same without
# color.
_COLORS = ('#000000', '#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')
_MARKERS = 'os^Dv<>PX*'


def find_logs(sources: list[str]) -> list[Path]:
    """Files, and the scalars.json files of folders, by name.

    mmengine names the folder of a start after its time, so that the names' order is that of time.

    Raises:
        InputError: A folder without logs.
    """
    paths = []
    for source in map(Path, sources):
        found = [source]
        if source.is_dir():
            found = sorted(p for place in _PLACES for p in source.glob(place))
            if not found:
                raise InputError(source, 'no scalars.json', 'the work_dir of a training')
        paths += found
    return paths


def read_scalars(paths: list[Path]) -> list[dict]:
    """The lines of mmengine's scalars.json files, one dict per step.

    Raises:
        InputError: A file is missing, or a line is not a JSON object.
    """
    steps = []
    for path in paths:
        try:
            with open(path, encoding='utf-8') as f:
                lines = f.read().splitlines()
        except OSError as e:
            raise InputError(path, e.strerror, 'a readable file') from None
        for number, line in enumerate(lines, 1):
            try:
                step = json.loads(line)
            except json.JSONDecodeError as e:
                raise InputError(
                    path, f'broken JSON ({e})', "mmengine's scalars.json", f'line {number}'
                ) from None
            if not isinstance(step, dict):
                raise InputError(
                    path, f'a {type(step).__name__}', 'a JSON object', f'line {number}'
                )
            steps.append(step)
    return steps


def curves_of(steps: list[dict]) -> tuple[Curves, Curves]:
    """Losses by iteration, and metrics by iteration.

    A validation has no iteration of its own: it takes that of the training step before it. Where a
    run was started again, by resuming or from the beginning, the later start replaces all that came
    after its first step.
    """
    losses: dict[str, dict[int, float]] = {}
    metrics: dict[str, dict[int, float]] = {}
    last = 0
    for step in steps:
        if 'loss' in step:
            before, last = last, step.get('step', step.get('iter', last))
            if last <= before:
                _cut([*losses.values(), *metrics.values()], last)
            for key, value in step.items():
                if 'loss' in key:
                    losses.setdefault(key, {})[last] = value
        for key in METRICS + DEPTH_METRICS:
            if step.get(key) is not None:
                metrics.setdefault(key, {})[last] = step[key]
    return tuple(
        {k: sorted(v.items()) for k, v in group.items() if v} for group in (losses, metrics)
    )


def _cut(curves: list[dict[int, float]], first: int) -> None:
    """Remove what stands at iteration ``first`` or later."""
    for curve in curves:
        for iteration in [i for i in curve if i >= first]:
            del curve[iteration]


def draw(losses: Curves, metrics: Curves, out: str) -> None:
    """Write the figure: losses, and the kinds of metrics that there are."""
    groups = [('training losses', losses)]
    for title, names in (('validation', METRICS), ('validation, depth (mm)', DEPTH_METRICS)):
        group = {name: metrics[name] for name in names if name in metrics}
        if group:
            groups.append((title, group))
    figure = new_figure(5 * len(groups), 5)
    axes = figure.subplots(1, len(groups), squeeze=False)[0]
    for axis, (title, group) in zip(axes, groups, strict=True):
        for i, (name, points) in enumerate(group.items()):
            x, y = zip(*points, strict=True)
            axis.plot(
                x,
                y,
                label=name,
                linewidth=1.2,
                markersize=5,
                color=_COLORS[i % len(_COLORS)],
                linestyle='-' if i < len(_COLORS) else '--',
                marker=_MARKERS[i % len(_MARKERS)],
                markevery=max(1, len(x) // 8),
            )
        axis.set(title=title, xlabel='iteration')
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, ncols=3, loc='upper center', bbox_to_anchor=(0.5, -0.15))
    axes[0].set_yscale('log')
    save_figure(figure, out)


@cli_main
def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description='Draw learning curves')
    parser.add_argument('logs', nargs='+', help='work_dir of a training, or scalars.json')
    parser.add_argument('--out', required=True, help='picture to write')
    args = parser.parse_args()
    losses, metrics = curves_of(read_scalars(find_logs(args.logs)))
    if not losses:
        raise InputError(
            args.logs[0], 'no training losses', "mmengine's scalars.json of a training"
        )
    draw(losses, metrics, args.out)
    print(f'curves: {args.out}')


if __name__ == '__main__':
    main()
