r"""Count a model's parameters by branch, beside Table 2 of the paper.

    python tools/analysis_tools/table2.py configs/pandepth/pandepth_effb5_vkitti2.py

The paper's table rounds what the authors' published code has. Where a model of this package differs
from that code, the difference is listed by its cause: a residual, counted from the sizes of the
model at hand. In every row

    parameters + residuals + unexplained = the authors' count.

No weights are loaded.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import pandepth_mm.registry  # noqa: F401  (first: mmdet wants mmcv's ops)

# isort: split
from mmcv.cnn import ConvModule
from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from torch import nn

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.engine.launch import load_config
from pandepth_mm.engine.options import add_cfg_options
from pandepth_mm.models.backbones import EfficientNetPS
from pandepth_mm.models.build import build_pandepth
from pandepth_mm.models.depth_heads import FuseBlockDepthHead
from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.models.instance_heads import SeparableFCNMaskHead, SeparableRPNHead
from pandepth_mm.models.layers import ContinuousConv
from pandepth_mm.models.semantic_heads import EfficientPSSemanticHead, JointHead

BRANCHES = {
    'backbone': ('backbone',),
    '2-way FPN': ('neck',),
    'semantic': ('semantic_head',),
    'instance': ('rpn_head', 'roi_head'),
    'depth': ('depth_head',),
    'joint': ('joint_head',),
}
TOTAL = 'total'
# the paper, Table 2
PAPER = {
    'backbone': '25.2M',
    '2-way FPN': '1.5M',
    'semantic': '1.2M',
    'instance': '53.1M',
    'depth': '1.9M',
    'joint': '1.2M',
    TOTAL: '84M',
}
# counted on the modules of the authors' published code
AUTHORS = {
    'backbone': 25_197_912,
    '2-way FPN': 1_475_584,
    'semantic': 1_212_175,
    'instance': 53_066_019,
    'depth': 1_868_929,
    'joint': 1_222_701,
    TOTAL: 84_043_320,
}
# sizes in the authors' code
_CLASSES = 15  # Virtual KITTI 2's 14, and "Undefined"
_IMAGENET_CLASSES = 1000
_BOX_POOLER = 14
_POINTS = 8000
_NEIGHBORS = 3
_ANCHORS = 3
_POINT_NORMS = 2  # a continuous convolution


class Residual(NamedTuple):
    """Parameters that the authors' code has and the model lacks.

    Negative where it is the other way round.
    """

    name: str
    count: int


def count(module: nn.Module) -> int:
    """Number of the parameters of a module."""
    return sum(p.numel() for p in module.parameters())


def parameters_by_branch(model: PanDepth) -> dict[str, int | None]:
    """Parameters of each branch, None for one that the model lacks.

    The last row is the total of the model.
    """
    counts: dict[str, int | None] = {}
    for branch, names in BRANCHES.items():
        parts = [getattr(model, name) for name in names]
        parts = [part for part in parts if part is not None]
        counts[branch] = sum(map(count, parts)) if parts else None
    return {**counts, TOTAL: count(model)}


def residuals_by_branch(model: PanDepth) -> dict[str, list[Residual]]:
    """What separates each branch from the authors', zeros left out.

    Only differences from the package's own modules are known: another backbone or head has none,
    and differs by an unexplained number.
    """
    found = {
        'backbone': _backbone(model.backbone),
        '2-way FPN': _biases(model.neck),
        'semantic': _semantic(model.semantic_head),
        'instance': _instance(model.rpn_head, model.roi_head),
        'depth': _depth(model.depth_head),
        'joint': _joint(model.joint_head),
    }
    return {branch: [r for r in residuals if r.count] for branch, residuals in found.items()}


def _more_classes(num_classes: int) -> str:
    return f'{_CLASSES} classes with "Undefined", not {num_classes}'


def _biases(module: nn.Module | None) -> Iterator[Residual]:
    """The authors' convolutions in front of a norm have a bias."""
    if module is not None:
        convs = [
            m
            for m in module.modules()
            if isinstance(m, ConvModule) and m.with_norm and m.conv.bias is None
        ]
        yield Residual(
            f'bias of {len(convs)} convolutions before a norm',
            sum(m.conv.out_channels for m in convs),
        )


def _backbone(backbone: nn.Module | None) -> Iterator[Residual]:
    if isinstance(backbone, EfficientNetPS):
        top = backbone.layers[-1]
        if isinstance(top, ConvModule):
            features = top.conv.out_channels
            yield Residual(
                'ImageNet classifier, which nothing uses', (features + 1) * _IMAGENET_CLASSES
            )


def _semantic(head: nn.Module | None) -> Iterator[Residual]:
    yield from _biases(head)
    if isinstance(head, EfficientPSSemanticHead):
        yield Residual(
            _more_classes(head.num_classes),
            (_CLASSES - head.num_classes) * (head.classifier.in_channels + 1),
        )


def _instance(rpn_head: nn.Module | None, roi_head: nn.Module | None) -> Iterator[Residual]:
    if rpn_head is not None:
        for residual in _biases(rpn_head):
            yield Residual(f'RPN: {residual.name}', residual.count)
        if isinstance(rpn_head, SeparableRPNHead):
            outputs = rpn_head.rpn_cls.out_channels + rpn_head.rpn_reg.out_channels
            yield Residual(
                f'RPN: {_ANCHORS} anchors at a point, not {rpn_head.num_base_priors}',
                (_ANCHORS * outputs // rpn_head.num_base_priors - outputs)
                * (rpn_head.rpn_cls.in_channels + 1),
            )
    box = getattr(roi_head, 'bbox_head', None)
    if isinstance(box, Shared2FCBBoxHead):
        height, width = box.roi_feat_size
        first = box.shared_fcs[0]
        yield Residual(
            f'box: first layer reads {_BOX_POOLER} x {_BOX_POOLER} cells, not {height} x {width}',
            (_BOX_POOLER**2 - height * width) * box.in_channels * first.out_features,
        )
        yield Residual(
            'box: norms of the two hidden layers', 2 * sum(fc.out_features for fc in box.shared_fcs)
        )
    mask = getattr(roi_head, 'mask_head', None)
    if isinstance(mask, SeparableFCNMaskHead):
        for residual in _biases(mask):
            yield Residual(f'mask: {residual.name}', residual.count)
        yield Residual(
            'mask: channel of a class that does not exist', mask.conv_logits.in_channels + 1
        )


def _depth(head: nn.Module | None) -> Iterator[Residual]:
    yield from _biases(head)
    if not isinstance(head, FuseBlockDepthHead):
        return
    convs = [m for m in head.modules() if isinstance(m, ContinuousConv)]
    yield Residual(
        f'{len(convs) * _POINT_NORMS} norms over the places of {_POINTS} points in their list',
        len(convs) * _POINT_NORMS * 2 * _POINTS,
    )
    yield Residual(
        f'{len(convs)} norms over the channels of the points', -sum(count(m.norm) for m in convs)
    )
    yield Residual(
        'one MLP over all neighbors, not one shared by them',
        sum(_joint_mlp(m) - count(m.mlp) for m in convs),
    )
    yield Residual(
        'linear maps after the sum over the neighbors', -sum(count(m.linear) for m in convs)
    )
    stem = head.image_stem[0].conv
    per_channel = stem.out_channels * stem.kernel_size[0] ** 2
    yield Residual('image stem: sparse depth as a further input', per_channel)
    num_classes = stem.in_channels - 3  # beside RGB
    yield Residual(
        f'image stem: {_more_classes(num_classes)}', (_CLASSES - num_classes) * per_channel
    )


def _joint_mlp(conv: ContinuousConv) -> int:
    """Parameters of the authors' MLP with the channels of this layer."""
    channels = conv.linear.in_features
    hidden = channels // 2 * _NEIGHBORS
    return (3 * _NEIGHBORS + 1) * hidden + (hidden + 1) * channels * _NEIGHBORS


def _joint(head: nn.Module | None) -> Iterator[Residual]:
    yield from _biases(head)
    if not isinstance(head, JointHead) or len(head.convs) < 2:
        return
    first, last = head.convs[0].conv, head.convs[-1]
    area = last.kernel_size[0] ** 2
    yield Residual('last convolution is 1 x 1', (1 - area) * last.in_channels * last.out_channels)
    yield Residual(
        f'first and last convolution: {_more_classes(head.num_classes)}',
        (_CLASSES - head.num_classes)
        * (first.out_channels * first.kernel_size[0] ** 2 + last.in_channels + 1),
    )
    yield Residual('norm on the logits', 2 * _CLASSES)


def report(model: PanDepth) -> str:
    """The table and the list of residuals, for people."""
    counts = parameters_by_branch(model)
    residuals = residuals_by_branch(model)
    sums = {branch: sum(r.count for r in residuals[branch]) for branch in BRANCHES}
    sums[TOTAL] = sum(sums.values())
    complete = None not in counts.values()
    lines = [
        f'{"":9} {"parameters":>10} {"":>6} {"residuals":>12} '
        f'{"unexplained":>12} {"authors":>11}  paper'
    ]
    for branch, own in counts.items():
        cells = ['-'] * 4
        if own is not None:
            cells[:2] = f'{own:,}', f'{own / 1e6:.1f}M'
            if branch != TOTAL or complete:
                rest = AUTHORS[branch] - own - sums[branch]
                cells[2:] = _signed(sums[branch]), _signed(rest)
        lines.append(
            f'{branch:9} {cells[0]:>10} {cells[1]:>6} '
            f'{cells[2]:>12} {cells[3]:>12} '
            f'{AUTHORS[branch]:>11,}  {PAPER[branch]}'
        )
    lines += ['', "residuals: + in the authors' code only, - here only"]
    for branch in BRANCHES:
        lines += [f'{branch:9} {_signed(r.count):>12}  {r.name}' for r in residuals[branch]]
    return '\n'.join(lines)


def _signed(number: int) -> str:
    return f'{number:+,}' if number else '0'


@cli_main
def main() -> None:
    """Count."""
    parser = argparse.ArgumentParser(
        description='Parameters by branch, beside Table 2 of the paper'
    )
    parser.add_argument('config', help='config file')
    add_cfg_options(parser)
    # load_config reads these also
    parser.set_defaults(work_dir=None, launcher='none', local_rank=0)
    args = parser.parse_args()
    print(report(build_pandepth(load_config(args), args.config)))


if __name__ == '__main__':
    main()
