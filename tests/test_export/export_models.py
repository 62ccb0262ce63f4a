"""Small models for the tests of the export."""

from pathlib import Path

import torch
from mmengine.config import Config
from plain_layers import randomize_norms

from pandepth_mm.engine.checkpoint import read_checkpoint
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
