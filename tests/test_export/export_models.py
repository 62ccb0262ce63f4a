"""Small models for the tests of the export."""

from pathlib import Path

import torch
from mmengine.config import Config
from plain_layers import randomize_norms

from pandepth_mm.engine.checkpoint import read_checkpoint
from pandepth_mm.export.parity import random_frame, run_pytorch
from pandepth_mm.registry import MODELS, set_default_scope

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs/pandepth'
SHIPPED = ROOT / 'pandepth_mm/weights/pandepth_effb0_minivkitti_long.pth'
DEMO = CONFIGS / 'pandepth_effb0_minivkitti_long.py'

INSTANCES = ('rpn_head', 'roi_head', 'panoptic_fusion')
SEMANTICS = ('backbone', 'neck', 'semantic_head', 'joint_head')


def demo_model():
    """The demo's model with its weights."""
    set_default_scope()
    model = MODELS.build(Config.fromfile(DEMO).model)
    model.load_state_dict(read_checkpoint(str(SHIPPED))['state_dict'])
    return model.eval()


def small_model(without=(), depth_head=None, **changes):
    """The demo's model with random weights and fewer branches.

    Args:
        without: Branches to leave out.
        depth_head: Keys of the depth head to change.
        changes: Keys of the model to change.
    """
    set_default_scope()
    torch.manual_seed(0)
    cfg = Config.fromfile(DEMO).model
    cfg.update({name: None for name in without}, **changes)
    if depth_head is not None:
        cfg.depth_head.update(depth_head)
    model = MODELS.build(cfg)
    randomize_norms(model)
    if model.depth_head is not None:
        torch.nn.init.normal_(model.depth_head.predict_depth.weight, std=0.001)
    return model.eval()


def lite_model(**changes):
    """A small model of the light family with random weights, which finds instances.

    Args:
        changes: Branches to replace.
    """
    set_default_scope()
    torch.manual_seed(0)
    cfg = Config.fromfile(ROOT / 'configs/_base_/models/pandepth_lite.py').model
    cfg.backbone.init_cfg = None
    cfg.neck.out_channels = 8
    cfg.depth_head.update(in_channels=[16, 8, 8, 8], channels=[8, 8, 12, 16])
    small = dict(in_channels=8, channels=8, geometry_channels=6)
    cfg.semantic_head.update(small, fine_channels=8)
    cfg.instance_head.update(small, max_per_img=20)
    cfg.panoptic_fusion.score_thr = 0.1  # random semantics are not sure of a thing
    for name, branch in changes.items():
        cfg[name] = branch
    model = MODELS.build(cfg)
    randomize_norms(model)
    if model.depth_head is not None and cfg.depth_head.type == 'CandidateDepthHead':
        torch.nn.init.normal_(model.depth_head.predict.weight, std=0.02)
    if model.instance_head is not None:
        last = model.instance_head.predict_maps
        torch.nn.init.normal_(last.weight, std=0.1)
        torch.nn.init.constant_(last.bias[-4:], 2.0)  # things nearly everywhere
    # without statistics of its norms the image would fade away in the backbone
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    run_pytorch(model.train(), random_frame((96, 64), 80.0, 300))
    return model.eval()
