"""A toy model, data set and metric for the tests of the tools."""

import os
import time

import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

from pandepth_mm.errors import InputError
from pandepth_mm.registry import DATASETS, METRICS, MODELS


@DATASETS.register_module()
class ToyDataset(Dataset):
    """Points of a line; ``broken`` is the index of a frame that fails."""

    def __init__(self, length=6, broken=None):
        self.length = length
        self.broken = broken
        self.metainfo = dict(thing_classes=('Car',), stuff_classes=('Sky',))

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index == self.broken:
            raise InputError(f'frame{index}.png', 'no such file', 'an image', 'img')
        return dict(x=torch.tensor([index / self.length]), index=index)


@MODELS.register_module()
class ToyModel(BaseModel):
    """Fits y = 2 x; ``width`` changes a shape, ``delay`` slows it down."""

    def __init__(self, width=1, delay=0.0, norm_cfg=None, init_cfg=None):
        super().__init__(init_cfg=init_cfg)
        self.num_things = 1
        self.num_stuff = 1
        self.norm_cfg = norm_cfg
        self.linear = nn.Linear(width, 1)
        self.delay = delay

    def forward(self, x, index, mode='tensor'):
        x = torch.stack(x)
        y = self.linear(x)
        if mode == 'loss':
            time.sleep(self.delay)
            return dict(loss=((y - 2 * x) ** 2).mean())
        return [dict(index=int(i), y=float(v)) for i, v in zip(index, y, strict=True)]


@METRICS.register_module()
class ToyMetric(BaseMetric):
    """Mean output, number of frames, and a value that is not finite."""

    default_prefix = 'toy'

    def process(self, data_batch, data_samples):
        self.results += [(s['index'], s['y']) for s in data_samples]

    def compute_metrics(self, results):
        values = dict(results)
        self.details = dict(confusion=dict(rows=['Car'], columns=['Car', 'void'], counts=[[4, 1]]))
        return dict(
            mean=sum(values.values()) / len(values), frames=len(values), undefined=float('nan')
        )


class RunsCode:
    """Unpickling it makes a folder of the name."""

    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return os.mkdir, (self.name,)
