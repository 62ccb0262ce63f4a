r"""What a model costs, branch by branch: parameters, multiply-adds, time, memory.

    python tools/analysis_tools/benchmark.py MODEL [--against MODEL2] [--out costs.json]
    python tools/analysis_tools/benchmark.py MODEL --against MODEL --no-optimize
    python tools/analysis_tools/benchmark.py MODEL --train
    python tools/analysis_tools/benchmark.py MODEL --frame [IMAGE --points-file BIN --calib TXT]

MODEL is a config file, the name of a shipped model, or weights that hold their config. A config
without shipped weights gets random ones (the output says so): what follows from them, how many
boxes the instance branch works on, say, differs from that of trained ones.

A model predicts by an optimized copy, as the inferencer lets it (docs/speed.md). --no-optimize
measures the model as it is; with --against, the second alone. Training steps are the model's own.

Without a further option, a random image batch of --input with --points random measurements goes
through the model, post-processing included. With --frame, an image and its points, in memory, go
through PanDepthInferencer until the result is in memory: by default a random one of 1242 x 375 with
20,000 points. With --train, the model makes training steps, with its config's optimizer and data
loader; where its data are missing, one random batch is used over and over.

The rows are the children of the model, whatever they are called; what a branch prepares counts to
it. 'rest' is what is done outside of them: mostly the resize to the image's size and, with --frame,
reading the points and making the result; in a training step adding up the losses. 'data' is the
time that a training step waits for its loader; 'load' is what one process needs to load that batch,
which several workers share between them.

Times are medians of --repeats after a warm-up, with both quartiles; on a GPU the device's work is
waited for, and the whole is timed in a run of its own, without the waits between branches. GMAC are
multiply-adds of convolutions, matrix products and attention; those of a training step are the
forward pass's. Memory is the peak of torch's allocations while a branch runs, on top of weights and
inputs, with what earlier branches still hold. With --against the two models take turns; ratios are
medians over the rounds. The yardstick, a plain 3x3 convolution of 256 channels at 200 x 1000 (118
GMAC), is timed in turn with them, to compare machines.
"""

import argparse
import contextlib
import copy
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandepth_mm.registry  # noqa: F401  (first: mmdet wants mmcv's ops)

# isort: split
import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from torch import nn

from pandepth_mm.apis import PanDepthInferencer, init_model
from pandepth_mm.apis.inputs import load_image
from pandepth_mm.cli.shared import cli_main
from pandepth_mm.engine.branch_costs import (
    DATA,
    LOAD,
    REST,
    UPDATE,
    WHOLE,
    compare,
    costs,
    peak_of_process,
    show,
    show_ratios,
)
from pandepth_mm.engine.branch_probe import Meter, clock, watch_branches, watch_methods
from pandepth_mm.engine.model_zoo import read_config
from pandepth_mm.engine.random_frames import random_batch, random_scan
from pandepth_mm.errors import InputError, require_count
from pandepth_mm.fileio import check_writable, write_json
from pandepth_mm.geometry.calibration_files import as_calibration
from pandepth_mm.geometry.point_files import read_points
from pandepth_mm.models.build import build_pandepth
from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.models.layers.inplace_abn import activate_in_place
from pandepth_mm.models.precision import PRECISIONS, predict_in
from pandepth_mm.structures.palette import default_palette
from pandepth_mm.visualization.frame.colors import as_palette

WEIGHT_SUFFIXES = ('.pth', '.safetensors')
YARDSTICK = dict(channels=256, kernel_size=3, size=(200, 1000))
MIB = 1 << 20


class Subject(NamedTuple):
    """A model with what it has to do."""

    name: str
    weights: str
    work: str  # in words
    model: PanDepth
    run: Callable[[Meter | None], object]  # once; spans beside the branches go to the meter


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='What a model costs, branch by branch')
    add = parser.add_argument
    add('model', help='config file, name of a shipped model, or weights with their config')
    add('--against', metavar='MODEL', help='another one, in turn with it')
    add_how(parser, repeats=5)
    add('--points', type=int, metavar='N', help='measurements in each image (8000; a frame: 20000)')
    add('--batch', type=int, default=1, metavar='N', help='images at a time (1)')
    add('--no-optimize', action='store_true', help='the model, or the one of --against, as it is')
    add('--train', action='store_true', help='training steps')
    add('--frame', nargs='?', const='', metavar='IMAGE', help='a frame through the inferencer')
    add('--points-file', metavar='BIN', help='points of the frame')
    add('--calib', metavar='TXT', help='calibration of the frame')
    add('--out', metavar='JSON', help='all numbers')
    return parser.parse_args(argv)


def add_how(parser: argparse.ArgumentParser, repeats: int) -> None:
    """Add what every benchmark of a model is told.

    Args:
        parser: Of the tool.
        repeats: The default of ``--repeats``.
    """
    add = parser.add_argument
    add('--input', default='200x1000', metavar='HxW', help='size of an image (%(default)s)')
    add('--dtype', default='fp32', choices=list(PRECISIONS))
    add('--device')
    add('--threads', type=int, metavar='N', help='of torch')
    add('--repeats', type=int, default=repeats, metavar='N', help='counted runs (%(default)s)')


def check_args(args: argparse.Namespace) -> None:
    """Refuse what cannot be measured."""
    for name in ('batch', 'repeats', 'threads', 'points'):
        if getattr(args, name) is not None:
            require_count(getattr(args, name), f'--{name}')
    parse_size(args.input)
    if args.train and args.frame is not None:
        raise InputError('--train, --frame', 'both', 'one of the two')
    files = [args.frame, args.points_file, args.calib]
    if any(files) and not all(files):
        raise InputError(
            '--frame, --points-file, --calib', f'{sum(map(bool, files))} files', 'all three'
        )
    if args.out:
        check_writable(args.out, '--out')


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of HxW."""
    try:
        height, width = (int(part) for part in text.split('x'))
    except ValueError:
        height = width = 0
    if min(height, width) < 32:
        raise InputError('--input', repr(text), 'HxW in pixels, 200x1000 say, at least 32 each')
    return height, width


def build(name: str) -> tuple[PanDepth, str]:
    """A model as the inferencer takes it, and what weights it has."""
    if Path(name).suffix in WEIGHT_SUFFIXES:
        return init_model(None, name), name
    cfg, found = read_config(name)
    if found.weights is not None:
        return init_model(name), os.path.basename(found.weights)
    torch.manual_seed(0)
    model = build_pandepth(cfg, name)
    model.cfg = cfg
    classes = tuple(f'class {i}' for i in range(model.num_classes))
    model.dataset_meta = dict(classes=classes, palette=as_palette(default_palette(classes)))
    return model, 'random'


@torch.no_grad()
def settle_norms(model: PanDepth, batch: dict) -> None:
    """Give random weights the statistics of a batch, so that features keep their size.

    Else they shrink from layer to layer, to numbers that a CPU is slow with.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    model.train()
    model.forward_dense(model.data_preprocessor(copy.deepcopy(batch), False)['inputs'])
    model.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def make_subject(name: str, args: argparse.Namespace, optimize: bool = True) -> Subject:
    """Build a model, and what it has to do."""
    model, weights = build(name)
    size = parse_size(args.input)
    points = args.points or (8000 if args.frame is None else 20000)
    if points > size[0] * size[1]:
        raise InputError('--points', f'{points}', f'at most one per pixel of {args.input}')
    batch = random_batch(args.batch, size, points, model.num_classes, model.num_things)
    if weights == 'random':
        settle_norms(model, batch)
    inferencer = PanDepthInferencer(
        model, args.device, args.dtype, show_progress=False, optimize=optimize and not args.train
    )
    model = inferencer.model
    if args.train:
        work, run = training(model, batch, args, inferencer.device)
    elif args.frame is not None:
        work, run = one_frame(inferencer, points, args)
    else:
        work, run = prediction(inferencer, batch, points, args)
    if not (optimize or args.train):
        work += ', not optimized'
    return Subject(name, weights, work, model, run)


def prediction(
    inferencer: PanDepthInferencer, batch: dict, points: int, args: argparse.Namespace
) -> tuple[str, Callable]:
    """A batch through the model."""

    @torch.no_grad()
    def run(meter: Meter | None) -> None:
        with predict_in(args.dtype, inferencer.device):
            inferencer.model.test_step(dict(batch, data_samples=[s.clone() for s in samples]))

    samples = batch['data_samples']
    return f'prediction, {args.batch} x {args.input}, {points} points', run


def one_frame(
    inferencer: PanDepthInferencer, points: int, args: argparse.Namespace
) -> tuple[str, Callable]:
    """An image and its points through the inferencer."""
    if args.frame:
        image, cloud = load_image(args.frame), read_points(args.points_file)
        calibration = as_calibration(args.calib)
    else:
        image, cloud, calibration = random_scan(points)
    height, width = image.shape[:2]

    def run(meter: Meter | None) -> None:
        inferencer(image, points=cloud, calib=calibration)

    return f'frame of {width} x {height}, {len(cloud)} points, to a result in memory', run


def training(
    model: PanDepth, batch: dict, args: argparse.Namespace, device: torch.device
) -> tuple[str, Callable]:
    """Training steps, on the config's data where they are."""
    if not model.cfg.get('optim_wrapper'):
        raise InputError('--train', 'a config without it', 'an optimizer', 'optim_wrapper')
    model.train()
    if any(hook.type == 'InPlaceABNHook' for hook in model.cfg.get('custom_hooks', [])):
        activate_in_place(model)
    optimizer = build_optim_wrapper(model, model.cfg.optim_wrapper)
    loader = find_loader(model.cfg, args)
    batches = itertools.repeat(batch) if loader is None else endless(loader)
    source = 'one random batch' if loader is None else f'{loader.num_workers} workers'

    def run(meter: Meter | None) -> None:
        span = contextlib.nullcontext if meter is None else meter.span
        with span(DATA):
            data = next(batches)
        if loader is None:
            data = copy.deepcopy(data)  # a step pads the samples in place
        with contextlib.ExitStack() as stack:
            stack.enter_context(predict_in(args.dtype, device))
            stack.enter_context(watch_methods(optimizer, ['update_params'], UPDATE, span))
            model.train_step(data, optimizer)
        if meter is not None and loader is not None:
            with meter.span(LOAD):
                loader.collate_fn([loader.dataset[i] for i in range(args.batch)])

    return f'training step, {args.batch} x {args.input}, data: {source}', run


def find_loader(cfg: Config, args: argparse.Namespace) -> Any | None:
    """The data loader of a config's training at the wanted size; None without its data."""
    loader = copy.deepcopy(cfg.get('train_dataloader'))
    if loader is None:
        return None
    loader.batch_size = args.batch
    dataset = loader.dataset
    while 'ann_file' not in dataset and 'dataset' in dataset:
        dataset = dataset.dataset
    path = os.path.join(dataset.get('data_root') or '', dataset.get('ann_file') or '')
    if not os.path.isfile(path):
        return None
    height, width = parse_size(args.input)
    dataset.img_scale = (width, height)
    return Runner.build_dataloader(loader, seed=0)


def endless(loader: Any) -> Iterator[dict]:
    """Batches without end."""
    while True:
        yield from loader


def measure(
    subjects: list[Subject], repeats: int, device: torch.device
) -> tuple[list[dict[str, list[float]]], list[float]]:
    """Time all in turn.

    Returns:
        For each subject the seconds of every round, by row; and those of the yardstick.
    """
    read = clock(device)
    channels, size = YARDSTICK['channels'], YARDSTICK['size']
    conv = nn.Conv2d(channels, channels, YARDSTICK['kernel_size'], padding=1).to(device)
    image = torch.randn(1, channels, *size, device=device)
    found: list[dict[str, list[float]]] = [{} for _ in subjects]
    yardstick = []
    for turn in range(repeats + 1):  # the first warms up
        for subject, times in zip(subjects, found, strict=True):
            row = time_once(subject, read, alone=device.type == 'cuda')
            for name, seconds in row.items() if turn else ():
                times.setdefault(name, []).append(seconds)
        start = read()
        with torch.no_grad():
            conv(image)
        if turn:
            yardstick.append(read() - start)
    return found, yardstick


def time_once(subject: Subject, read: Callable[[], float], alone: bool) -> dict[str, float]:
    """Seconds of each branch, of the rest and of the whole.

    Args:
        subject: The model.
        read: A clock.
        alone: Time the whole in a run of its own.
    """
    meter = Meter(read)
    with watch_branches(subject.model, meter.span), meter.span(REST):
        subject.run(meter)
    row = dict(meter.spent)
    row[WHOLE] = sum(seconds for name, seconds in row.items() if name != LOAD)
    if alone:
        start = read()
        subject.run(None)
        row[WHOLE] = read() - start
    return row


@cli_main
def main(argv: list[str] | None = None) -> None:
    """Measure, and print tables."""
    args = parse_args(argv)
    check_args(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    names = [name for name in (args.model, args.against) if name]
    plain = len(names) - 1 if args.no_optimize else None
    subjects = [make_subject(name, args, i != plain) for i, name in enumerate(names)]
    device = next(subjects[0].model.parameters()).device
    machine = dict(
        device=torch.cuda.get_device_name(device) if device.type == 'cuda' else 'cpu',
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )
    print(f'{machine["device"]}, {machine["threads"]} threads, {args.dtype}', flush=True)
    times, yardstick = measure(subjects, args.repeats, device)
    tables = [costs(s.model, s.run, t, device) for s, t in zip(subjects, times, strict=True)]
    for subject, rows in zip(subjects, tables, strict=True):
        print(f'\n{subject.name} (weights: {subject.weights}): {subject.work}')
        print(show(rows))
    ratios = compare(*tables) if args.against else None
    if ratios:
        print(f'\n{args.model} / {args.against}\n{show_ratios(ratios)}')
    median = float(np.median(yardstick))
    print(f'\nyardstick, a 3x3 convolution of 256 channels at 200 x 1000: {1e3 * median:.1f} ms')
    print(f'peak of the process: {peak_of_process() / MIB:.0f} MiB')
    if args.out:
        models = [
            dict(name=s.name, weights=s.weights, work=s.work, rows=rows)
            for s, rows in zip(subjects, tables, strict=True)
        ]
        write_json(
            args.out,
            dict(
                settings=vars(args),
                machine=machine,
                models=models,
                ratios=ratios,
                yardstick_seconds=yardstick,
                process_peak_bytes=peak_of_process(),
            ),
        )


if __name__ == '__main__':
    main()
