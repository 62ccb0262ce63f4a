"""Small models for the tests of the export."""

from pathlib import Path

import torch
from mmengine.config import Config
from plain_layers import randomize_norms

from pandepth_mm.export.parity import random_frame, run_pytorch
from pandepth_mm.registry import MODELS, set_default_scope

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs/pandepth'
SMALL = CONFIGS / 'pandepth_effb0_minivkitti.py'
SMALL_SIZE = (416, 128)  # width and height of its images

INSTANCES = ('rpn_head', 'roi_head', 'panoptic_fusion')
SEMANTICS = ('backbone', 'neck', 'semantic_head', 'joint_head')


def norms_of(model):
    """Its batch norms."""
    return [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]


def take_statistics(model, frame):
    """Give a random model's norms those of a frame, and put it in eval mode.

    Without them the image would fade away from layer to layer.
    """
    for norm in norms_of(model):
        norm.momentum = 1.0
    run_pytorch(model.train(), frame)
    return model.eval()


def calibrated_model():
    """The paper's parts in small, RoI heads included, with random weights.

    As in a trained one, rounding comes to 2e-5 at the end, logits have a standard deviation of
    nearly 3, and the fill is corrected by more than 1 m.
    """
    set_default_scope()
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(SMALL).model)
    for norm in norms_of(model):
        torch.nn.init.uniform_(norm.weight, 0.5, 1)
        # where most values are above 0, the leaky ReLUs do not magnify rounding: around 0, PyTorch
        # in float32 is 1e-3 away from float64 at the end
        torch.nn.init.uniform_(norm.bias, 0.5, 1.5)
    torch.nn.init.normal_(model.depth_head.predict_depth.weight, std=0.005)
    with torch.no_grad():
        model.joint_head.convs[-1].weight *= 4
    return take_statistics(model, random_frame(SMALL_SIZE, 80.0, 400))


def small_model(without=(), depth_head=None, **changes):
    """The paper's parts in small, fewer of them, with random weights and random statistics.

    Args:
        without: Branches to leave out.
        depth_head: Keys of the depth head to change.
        changes: Keys of the model to change.
    """
    set_default_scope()
    torch.manual_seed(0)
    cfg = Config.fromfile(SMALL).model
    cfg.update({name: None for name in without}, **changes)
    if depth_head is not None:
        cfg.depth_head.update(depth_head)
    model = MODELS.build(cfg)
    randomize_norms(model)
    if model.depth_head is not None:
        torch.nn.init.normal_(model.depth_head.predict_depth.weight, std=0.001)
    return model.eval()


def lite_model(**changes):
    """A small model of the light family with random weights, which finds instances by votes.

    Args:
        changes: Branches to replace.
    """
    set_default_scope()
    torch.manual_seed(0)
    cfg = Config.fromfile(ROOT / 'configs/pandepth_lite/pandepth_lite0_votes_minivkitti.py').model
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
        last.weight.data[12:28] *= 0.2  # neighbors vote alike, as after training
        torch.nn.init.constant_(last.bias[-4:], 2.0)  # things nearly everywhere
    return take_statistics(model, random_frame((96, 64), 80.0, 300))
