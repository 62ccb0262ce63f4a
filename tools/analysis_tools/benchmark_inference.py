r"""Time and memory of the inferencer, by precision and batch size.

    python tools/analysis_tools/benchmark_inference.py \
        --config pandepth_effb5_vkitti2 --batch-sizes 1 2

Each setting runs in a process of its own, on one random image and 5 % of random points (the times
of a trained model on a real image differ in the number of instances). The tool prints the median
time per image, its ratio to the first setting's, and the peak of the memory: of the process on a
CPU, with what was in use before the first image beside it; of torch's allocations on a GPU. Without
shipped weights it takes random ones.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config

from pandepth_mm.apis import PanDepthInferencer, init_model
from pandepth_mm.apis.inferencer import PRECISIONS
from pandepth_mm.cli.shared import cli_main
from pandepth_mm.engine.model_zoo import find_config
from pandepth_mm.errors import InputError
from pandepth_mm.models.build import build_pandepth

MIB = 1 << 20


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Benchmark the inferencer')
    parser.add_argument('--config', default='pandepth_effb0_minivkitti_long')
    parser.add_argument('--size', default='1242x375', metavar='WxH', help='of the image')
    parser.add_argument(
        '--precisions', nargs='+', default=['fp32', 'bf16'], choices=list(PRECISIONS)
    )
    parser.add_argument('--batch-sizes', nargs='+', type=int, default=[1, 4])
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--device')
    parser.add_argument('--weights', help=argparse.SUPPRESS)  # of a child
    return parser.parse_args()


def parse_size(text: str) -> tuple:
    """(width, height) of WxH."""
    try:
        width, height = (int(part) for part in text.split('x'))
    except ValueError:
        width = height = 0
    if width < 1 or height < 1:
        raise InputError('--size', repr(text), 'WxH in pixels, 1242x375 say')
    return width, height


def memory() -> int:
    """Peak of this process so far, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


def measure(args: argparse.Namespace) -> dict:
    """Run one setting in this process."""
    inferencer = PanDepthInferencer(
        init_model(args.config, args.weights), args.device, args.precisions[0], show_progress=False
    )
    width, height = parse_size(args.size)
    rng = np.random.default_rng(0)
    batch = args.batch_sizes[0]
    images = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(batch)]
    depths = [
        np.where(rng.random((height, width)) < 0.05, rng.uniform(3, 70, (height, width)), 0).astype(
            np.float32
        )
        for _ in range(batch)
    ]
    on_gpu = inferencer.device.type == 'cuda'
    before = memory()
    times = []
    for _ in range(args.repeats + 1):  # the first one warms up
        start = time.perf_counter()
        inferencer(images, depths, batch_size=batch)
        times.append((time.perf_counter() - start) / batch)
    peak = torch.cuda.max_memory_allocated() if on_gpu else memory()
    return dict(seconds=float(np.median(times[1:])), peak=peak, before=0 if on_gpu else before)


def random_weights(config: str, folder: str) -> str:
    """Write untrained weights."""
    torch.manual_seed(0)
    path = find_config(config).config
    model = build_pandepth(Config.fromfile(path), str(path))
    weights = Path(folder) / 'random.pth'
    torch.save(model.state_dict(), weights)
    return str(weights)


def run_child(args: argparse.Namespace, weights: str, precision: str, batch: int) -> dict:
    """Measure one setting in a process of its own."""
    command = [
        sys.executable,
        __file__,
        '--config',
        args.config,
        '--size',
        args.size,
        '--repeats',
        str(args.repeats),
        '--weights',
        weights,
        '--precisions',
        precision,
        '--batch-sizes',
        str(batch),
    ]
    if args.device:
        command += ['--device', args.device]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError(
            f'{precision}, batch {batch}',
            done.stderr.strip().splitlines()[-1],
            'a setting that runs on this machine',
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


@cli_main
def main() -> None:
    """Measure every setting and print a table."""
    args = parse_args()
    parse_size(args.size)
    for name in ('repeats', 'batch_sizes'):
        value = getattr(args, name)
        if min(value if isinstance(value, list) else [value]) < 1:
            raise InputError('--' + name.replace('_', '-'), f'{value}', '1 or more')
    if args.weights is not None:  # a child
        print(json.dumps(measure(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        weights = find_config(args.config).weights or random_weights(args.config, folder)
        print(
            f'{args.config}, images of {args.size}, median of '
            f'{args.repeats}, {torch.get_num_threads()} threads'
        )
        print(
            f'{"precision":>9} {"batch":>5} {"s/image":>8} {"ratio":>6} '
            f'{"peak MiB":>9} {"of it before":>13}'
        )
        first = None
        for precision in args.precisions:
            for batch in args.batch_sizes:
                found = run_child(args, weights, precision, batch)
                first = first or found['seconds']
                print(
                    f'{precision:>9} {batch:>5} {found["seconds"]:>8.3f} '
                    f'{found["seconds"] / first:>6.2f} '
                    f'{found["peak"] / MIB:>9.0f} '
                    f'{found["before"] / MIB:>13.0f}',
                    flush=True,
                )


if __name__ == '__main__':
    main()
