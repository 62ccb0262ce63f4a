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
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData

from pandepth_mm import mmcv_ops
from pandepth_mm.cli.shared import cli_main
from pandepth_mm.engine.model_zoo import read_config
from pandepth_mm.errors import InputError, require_count
from pandepth_mm.models.build import build_pandepth

INSTANCES = 12


def random_batch(images: int, size: tuple[int, int], num_classes: int, num_things: int) -> dict:
    """A batch as a data loader gives it; ``size`` is (width, height)."""
    rng = np.random.default_rng(0)
    width, height = size
    inputs: dict[str, list] = dict(img=[], sparse_depth=[], cam2img=[])
    samples = []
    for _ in range(images):
        depth = torch.from_numpy(rng.uniform(2, 60, (1, height, width)).astype(np.float32))
        keep = torch.from_numpy(rng.random((1, height, width)) < 0.05)
        inputs['img'].append(
            torch.from_numpy(rng.integers(0, 256, (3, height, width)).astype(np.uint8))
        )
        inputs['sparse_depth'].append(depth * keep)
        inputs['cam2img'].append(
            torch.tensor([[width * 0.6, 0, width / 2], [0, width * 0.6, height / 2], [0, 0, 1]])
        )
        corner = rng.uniform(0, (width - 40, height - 32), (INSTANCES, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(4, 32, (INSTANCES, 2))], axis=1)
        masks = np.zeros((INSTANCES, height, width), np.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
            mask[y1 : y2 + 1, x1 : x2 + 1] = 1
        sample = DetDataSample(metainfo=dict(img_shape=(height, width), ori_shape=(height, width)))
        sample.gt_instances = InstanceData(
            bboxes=HorizontalBoxes(boxes.astype(np.float32)),
            labels=torch.from_numpy(rng.integers(0, num_things, INSTANCES)),
            masks=BitmapMasks(masks, height, width),
        )
        sample.ignored_instances = sample.gt_instances[:0]
        sample.gt_sem_seg = PixelData(
            sem_seg=torch.from_numpy(rng.integers(0, num_classes, (1, height, width)))
        )
        sample.gt_depth_map = PixelData(data=depth)
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


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
    size = cfg.train_dataloader.dataset.img_scale
    data = random_batch(args.batch_size, size, model.num_classes, model.num_things)
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
