"""Time a training step with mmcv's compiled ops and with those in plain torch, in turn.

    python tools/analysis_tools/benchmark_ops.py [--config CONFIG] [--steps 10]

Needs an mmcv with compiled ops. A batch of random frames, with boxes as small as those of the demo,
goes forward and backward with either; printed are the medians and their ratio.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Sequence

import pandepth_mm.registry  # noqa: F401  (first: mmdet wants mmcv's ops)

# isort: split
import numpy as np
import torch

from pandepth_mm import mmcv_ops
from pandepth_mm.cli.shared import cli_main
from pandepth_mm.engine.model_zoo import read_config
from pandepth_mm.engine.random_frames import random_batch
from pandepth_mm.errors import InputError, require_count
from pandepth_mm.models.build import build_pandepth

DENSITY = 0.05  # of the sparse depth


def use(ops: object) -> None:
    """Let mmcv call these ops from now on."""
    for name in ('nms', 'roi_align'):
        importlib.import_module(f'mmcv.ops.{name}')
        sys.modules[f'mmcv.ops.{name}'].ext_module = ops


@cli_main
def main(argv: Sequence[str] | None = None) -> None:
    """Print medians and ratio."""
    parser = argparse.ArgumentParser(description='Time a training step with either ops')
    parser.add_argument('--config', default='pandepth_effb0_minivkitti', help='config file or name')
    parser.add_argument('--steps', type=int, default=10, metavar='N', help='counted of each (10)')
    parser.add_argument('--batch-size', type=int, default=6, metavar='N')
    args = parser.parse_args(argv)
    require_count(args.steps, '--steps')
    require_count(args.batch_size, '--batch-size')
    if mmcv_ops.ops_in_use() != 'compiled':
        raise InputError('mmcv', 'no compiled ops', 'an mmcv that has them, to compare with')
    cfg, _ = read_config(args.config)
    model = build_pandepth(cfg, args.config).train()
    width, height = cfg.train_dataloader.dataset.img_scale
    data = random_batch(
        args.batch_size,
        (height, width),
        int(DENSITY * height * width),
        model.num_classes,
        model.num_things,
    )
    data = model.data_preprocessor(data, training=True)
    seconds: dict[str, list[float]] = {'compiled': [], 'plain torch': []}
    both = {'compiled': importlib.import_module('mmcv._ext'), 'plain torch': mmcv_ops}
    for step in range(args.steps + 1):
        for name, ops in both.items():
            use(ops)
            torch.manual_seed(step)
            model.zero_grad()
            start = time.perf_counter()
            loss, _ = model.parse_losses(model(**data, mode='loss'))
            loss.backward()
            if step:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f'{name:12} {median:.3f} s per step, {min(seconds[name]):.3f} at best')
    ratios = np.divide(seconds['plain torch'], seconds['compiled'])
    print(f'ratio, step by step: {np.median(ratios):.3f} (median)')


if __name__ == '__main__':
    main()
