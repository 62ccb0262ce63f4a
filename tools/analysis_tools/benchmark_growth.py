"""How time and memory of a prediction grow with pixels, points and instances.

    python tools/analysis_tools/benchmark_growth.py MODEL [MODEL ...] --out growth.json \
        --figure growth.png

Each model (as in benchmark.py) predicts a batch of one image of --input with --points random
measurements, and the same with 1/4, 1/2, 2 and 4 times the pixels (at the same aspect, the points
stay), then the points (the image stays). Its panoptic fusion gets 5, 10, 20, 40 and 80 random
instances, overlapping ones among them, in an image of --input: how many of them a network finds is
its own affair. The sizes take turns; times are medians of --repeats after a warm-up.

The exponent says how it grows: the slope of the line through the logarithms, 1 where four times as
much takes four times as long, 0 where it does not matter.
"""

import argparse
import math
from collections.abc import Callable

from pandepth_mm.cli.shared import cli_main

# isort: split
import numpy as np
import torch
from benchmark import Subject, add_how, build, make_subject, measure, parse_size
from mmengine.structures import InstanceData

from pandepth_mm.engine.branch_costs import WHOLE
from pandepth_mm.engine.branch_probe import peak_memory
from pandepth_mm.errors import InputError, require_count
from pandepth_mm.fileio import check_writable, write_json
from pandepth_mm.visualization.figures.styles import new_figure, save_figure

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
INSTANCES = 20
MASK_SIZE = 28
MIB = 1 << 20
AXES = ('pixels', 'points', 'instances')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='How time and memory grow')
    add = parser.add_argument
    add('models', nargs='+', help='config files, names of shipped models, or weights')
    add_how(parser, repeats=3)
    add('--points', type=int, default=8000, metavar='N', help='measurements (8000)')
    add('--out', metavar='JSON', help='all numbers')
    add('--figure', metavar='PNG', help='the curves')
    return parser.parse_args(argv)


def check_args(args: argparse.Namespace) -> None:
    """Refuse what cannot be measured."""
    for name in ('points', 'repeats', 'threads'):
        if getattr(args, name) is not None:
            require_count(getattr(args, name), f'--{name}')
    most = int(math.prod(parse_size(args.input)) / max(FACTORS))
    if args.points > most:
        expected = f'at most {most}: four times as many points, or a quarter of the pixels'
        raise InputError('--points', f'{args.points}', expected)
    for size in sizes(args):
        parse_size(size)
    for name in ('out', 'figure'):
        if getattr(args, name):
            check_writable(getattr(args, name), f'--{name}')


def sizes(args: argparse.Namespace) -> list[str]:
    """Sizes of FACTORS times the pixels."""
    return [
        'x'.join(str(round(side * factor**0.5)) for side in parse_size(args.input))
        for factor in FACTORS
    ]


def predictions(model: str, axis: str, args: argparse.Namespace) -> list[Subject]:
    """A model before FACTORS times the pixels or the points."""
    subjects = []
    for factor, size in zip(FACTORS, sizes(args), strict=True):
        change = dict(input=size) if axis == 'pixels' else dict(points=round(factor * args.points))
        settings = dict(vars(args), batch=1, train=False, frame=None, **change)
        subjects.append(make_subject(model, argparse.Namespace(**settings)))
    return subjects


def random_instances(count: int, size: tuple[int, int], num_things: int) -> InstanceData:
    """Instances with soft round masks, from a tenth to a third of the image's height."""
    rng = torch.Generator().manual_seed(count)
    height, width = size
    center = torch.rand(count, 2, generator=rng) * torch.tensor([width, height])
    half = (0.05 + 0.12 * torch.rand(count, 2, generator=rng)) * height
    boxes = torch.cat([center - half, center + half], dim=1)
    place = (torch.arange(MASK_SIZE) + 0.5) / MASK_SIZE * 2 - 1
    mask = 4 * (1 - place.square() - place[:, None].square())
    return InstanceData(
        bboxes=boxes.clamp(min=0).minimum(torch.tensor([width, height, width, height])),
        scores=0.6 + 0.4 * torch.rand(count, generator=rng),
        labels=torch.randint(num_things, (count,), generator=rng),
        mask_logits=mask.expand(count, -1, -1).contiguous(),
    )


def fusions(name: str, args: argparse.Namespace) -> list[Subject]:
    """A model's panoptic fusion before FACTORS times 20 instances."""
    model = build(name)[0].to(args.device or 'cpu')
    device = next(model.parameters()).device
    size = parse_size(args.input)
    torch.manual_seed(0)
    logits = torch.randn(model.num_classes, *size, device=device)

    def fuse(instances: InstanceData) -> Callable:
        return lambda meter: model.panoptic_fusion.predict(logits, instances)

    subjects = []
    for factor in FACTORS:
        count = round(factor * INSTANCES)
        instances = random_instances(count, size, model.num_things).to(device)
        subjects.append(Subject(name, '', f'{count} instances', model, fuse(instances)))
    return subjects


def exponent(seconds: list[float]) -> float:
    """Slope of the line through the logarithms."""
    return float(np.polyfit(np.log(FACTORS), np.log(seconds), 1)[0])


def grow(subjects: list[Subject], repeats: int) -> dict:
    """Seconds and bytes of each size, and the exponent of the seconds."""
    device = next(subjects[0].model.parameters()).device
    times = measure(subjects, repeats, device)[0]
    seconds = [float(np.median(rows[WHOLE])) for rows in times]
    # of torch's allocations, on top of weights and inputs
    peaks = [
        peak_memory(subject.model, lambda s=subject: s.run(None), device).get('', 0)
        for subject in subjects
    ]
    return dict(
        work=[s.work for s in subjects],
        seconds=seconds,
        peak_bytes=peaks,
        exponent=exponent(seconds),
    )


def show(curves: dict[str, dict]) -> str:
    """A model's table."""
    lines = [f'{"":12}' + ''.join(f'{f"x {f:g}":>10}' for f in FACTORS) + f'{"exponent":>10}']
    for axis, curve in curves.items():
        milliseconds = ''.join(f'{1e3 * s:10.1f}' for s in curve['seconds'])
        lines.append(f'{axis + ", ms":<16}{milliseconds[4:]}{curve["exponent"]:10.2f}')
        mib = ''.join(f'{b / MIB:10.1f}' for b in curve['peak_bytes'])
        lines.append(f'{axis + ", MiB":<16}{mib[4:]}')
    return '\n'.join(lines)


def draw(results: dict[str, dict], path: str) -> None:
    """A panel for each axis, a line for each model, beside a dotted one of exponent 1."""
    figure = new_figure(11, 3.5)
    panels = figure.subplots(1, len(AXES))
    for panel, axis in zip(panels, AXES, strict=True):
        for (name, curves), marker in zip(results.items(), 'os^Dv<>PX*', strict=False):
            panel.plot(FACTORS, curves[axis]['seconds'], marker=marker, label=name)
            middle = curves[axis]['seconds'][FACTORS.index(1)]
            panel.plot(FACTORS, [f * middle for f in FACTORS], ':', color='gray')
        panel.set(xscale='log', yscale='log', xlabel=f'{axis}, times the usual', ylabel='seconds')
        panel.set_xticks(FACTORS, [f'{f:g}' for f in FACTORS])
    panels[0].legend()
    save_figure(figure, path)


@cli_main
def main(argv: list[str] | None = None) -> None:
    """Measure, print tables, draw."""
    args = parse_args(argv)
    check_args(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    results = {}
    for name in args.models:
        results[name] = {
            axis: grow(
                fusions(name, args) if axis == 'instances' else predictions(name, axis, args),
                args.repeats,
            )
            for axis in AXES
        }
        print(
            f'{name}: {args.input}, {args.points} points, {INSTANCES} instances, '
            f'{torch.get_num_threads()} threads, {args.dtype}\n{show(results[name])}',
            flush=True,
        )
    if args.out:
        write_json(args.out, dict(settings=vars(args), factors=FACTORS, models=results))
    if args.figure:
        draw(results, args.figure)


if __name__ == '__main__':
    main()
