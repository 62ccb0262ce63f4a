"""Draw the learning curves of a run.

    python tools/analysis_tools/plot_curves.py \\
        WORK_DIR/*/vis_data/scalars.json --out curves.png

Several files (a run that was resumed) make one curve. Losses of training
stand on the left, metrics of validation, if any, on the right.
"""
import argparse
import json
from typing import Dict, List, Tuple

import matplotlib

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import atomic_path
from pandepth_mm.utils import cli_main

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402

Curves = Dict[str, List[Tuple[int, float]]]
METRICS = ('panoptic/PQ', 'semantic/mIoU', 'instance/segm_mAP')


def read_scalars(paths: List[str]) -> List[dict]:
    """The lines of mmengine's scalars.json files, one dict a step.

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
                raise InputError(path, f'broken JSON ({e})',
                                 "mmengine's scalars.json",
                                 f'line {number}') from None
            steps.append(step)
    return steps


def curves_of(steps: List[dict]) -> Tuple[Curves, Curves]:
    """Losses by iteration, and metrics by iteration.

    A validation has no iteration of its own: it takes that of the training
    step before it. What a resumed run repeated replaces the earlier value.
    """
    losses: Dict[str, Dict[int, float]] = {}
    metrics: Dict[str, Dict[int, float]] = {}
    last = 0
    for step in steps:
        if 'loss' in step:
            last = step.get('step', step.get('iter', last))
            for key, value in step.items():
                if 'loss' in key:
                    losses.setdefault(key, {})[last] = value
        for key in METRICS:
            if step.get(key) is not None:
                metrics.setdefault(key, {})[last] = step[key]
    return tuple({k: sorted(v.items()) for k, v in group.items()}
                 for group in (losses, metrics))


def draw(losses: Curves, metrics: Curves, out: str) -> None:
    """Write the figure."""
    columns = 2 if metrics else 1
    figure, axes = plt.subplots(
        1,
        columns,
        figsize=(7 * columns, 4.5),
        squeeze=False,
        layout='constrained')
    groups = [('training losses', losses), ('validation', metrics)]
    for axis, (title, group) in zip(axes[0], groups[:columns], strict=True):
        for name, points in group.items():
            x, y = zip(*points, strict=True)
            # a single validation is a point, which a line does not show
            axis.plot(x, y, label=name, linewidth=1.2,
                      marker='o' if len(x) == 1 else None)
        axis.set(title=title, xlabel='iteration')
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc='center left', bbox_to_anchor=(1, 0.5))
    axes[0][0].set_yscale('log')
    with atomic_path(out) as tmp:
        figure.savefig(tmp, dpi=110)
    plt.close(figure)


@cli_main
def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description='Draw learning curves')
    parser.add_argument('scalars', nargs='+', help='scalars.json files')
    parser.add_argument('--out', required=True, help='picture to write')
    args = parser.parse_args()
    losses, metrics = curves_of(read_scalars(args.scalars))
    if not losses:
        raise InputError(args.scalars[0], 'no training losses',
                         "mmengine's scalars.json of a training")
    draw(losses, metrics, args.out)
    print(f'curves: {args.out}')


if __name__ == '__main__':
    main()
