"""Instance head without proposals: centers, and a box voted for by every pixel."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmdet.models.utils import gaussian_radius, gen_gaussian_target
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox_overlaps
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn import functional as F

from pandepth_mm.errors import require_count, require_fraction, require_positive
from pandepth_mm.models.fusion_heads.functional import box_region, paste_mask
from pandepth_mm.models.layers.scene_features import SceneFeatures
from pandepth_mm.models.layers.separable_conv import separable_conv
from pandepth_mm.registry import MODELS

_STRIDE = 2  # of the output
_UNIT = 8.0  # pixels of a box side that an output of 0 means
_MASK_SIZE = 28
# the votes of large objects fall short: a mask reaches beyond its box, at each end by this share of
# the pixels that a side has beyond the first ones
_MASK_MARGIN, _SMALL_SIDE = 0.125, 32
_MIN_OVERLAP = 0.7  # IoU with the ground truth that a box moved by the Gaussian's radius keeps
_SHARPNESS = 8.0  # mask logit per IoU
_REPEAT_IOU = 0.6  # of two boxes that mean one instance


class BoxVotes(NamedTuple):
    """What the head predicts at stride 2.

    Attributes:
        centers: Logits of "an instance of this class has its center here", (B, num_things, h, w).
        sides: Distances to the sides of the pixel's instance: left, top, right, bottom, (B, 4, h,
            w), pixels of the input, > 0.
        things: Logits of "a pixel of a thing", (B, 1, h, w).
    """

    centers: Tensor
    sides: Tensor
    things: Tensor


@MODELS.register_module()
class BoxVoteHead(BaseModule):
    """Instances from centers and votes, without anchors or RoIs.

    Every pixel of a thing votes for the box of its instance (its center and its size). A peak of
    the map of centers is an instance. The box that is voted for there says which pixels vote too:
    those within it that are of a thing and whose own vote overlaps it. The mean of their votes is
    the instance's box, and its mask are the pixels that vote for that one, also a little outside of
    it: so two cars are told apart though one hides half of the other. Where there are semantic
    logits, the score is the geometric mean of the peak and of the probability of its class in the
    mask. Of several instances of a class with nearly one box the best is kept.

    Args:
        num_classes: Number of thing classes.
        in_channels: Channels of the neck's maps of strides 4 to 32.
        channels: Channels at stride 4.
        geometry_channels: Channels of the geometry's features; 0: no depth is read.
        max_per_img: Number of peaks that are looked at.
        score_thr: Lowest score of an instance, semantics included.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        loss_center: Config of the loss of the centers, a focal loss on Gaussians.
        loss_box: Config of the loss of the votes, on boxes.
        loss_thing: Weight of the cross entropy of thing pixels.
        init_cfg: Initialization config.

    Raises:
        InputError: ``max_per_img``, ``score_thr`` or ``loss_thing`` is out of range.

    Source: own; the centers are those of CenterNet (Zhou et al., 2019), the votes extend the
    offsets of Panoptic-DeepLab (Cheng et al., 2020) by the box's size.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 64,
        channels: int = 64,
        geometry_channels: int = 32,
        max_per_img: int = 100,
        score_thr: float = 0.05,
        norm_cfg: ConfigType = dict(type='BN'),
        act_cfg: OptConfigType = dict(type='ReLU6'),
        loss_center: ConfigType = dict(type='GaussianFocalLoss', loss_weight=1.0),
        loss_box: ConfigType = dict(type='GIoULoss', loss_weight=1.0),
        loss_thing: float = 1.0,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        require_count(max_per_img, 'instance_head', 'max_per_img')
        require_fraction(score_thr, 'instance_head', 'score_thr', zero=True)
        require_positive(loss_thing, 'instance_head', 'loss_thing')
        self.num_classes = num_classes
        self.max_per_img = max_per_img
        self.score_thr = score_thr
        self.reads_depth = geometry_channels > 0
        cfg = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.scene = SceneFeatures(in_channels, channels, geometry_channels, **cfg)
        self.convs = nn.Sequential(*(separable_conv(channels, channels, **cfg) for _ in range(2)))
        self.predict_maps = nn.Conv2d(channels, 4 * (num_classes + 5), 1)
        nn.init.normal_(self.predict_maps.weight, std=0.01)
        nn.init.zeros_(self.predict_maps.bias)
        nn.init.constant_(self.predict_maps.bias[: 4 * num_classes], -2.19)  # a score of 0.1
        self.loss_center = MODELS.build(loss_center)
        self.loss_box = MODELS.build(loss_box)
        self.loss_thing = loss_thing

    def forward(
        self, feats: Sequence[Tensor], depth: Tensor | None, cam2img: Tensor | None
    ) -> BoxVotes:
        """Predict the maps.

        Args:
            feats: Maps of strides 2, 4, 8, 16, 32.
            depth: Dense depth, (B, 1, H, W), meters; not read without ``geometry_channels``.
            cam2img: Intrinsics, (B, 3, 3), pixels; not read without ``geometry_channels``.
        """
        x = self.predict_maps(self.convs(self.scene(feats[1:], depth, cam2img)))
        x = F.pixel_shuffle(x, 4 // _STRIDE).float()
        centers, sides, things = x.split([self.num_classes, 4, 1], dim=1)
        return BoxVotes(centers, sides.clamp(-6, 6).exp() * _UNIT, things)

    def loss_by_feat(self, votes: BoxVotes, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of centers, votes and thing pixels.

        Args:
            votes: Output of :meth:`forward`.
            batch_data_samples: With ``gt_instances``: ``bboxes``, ``labels`` and ``masks`` at the
                input's size, and ``ignored_instances`` where there are any, whose pixels do not
                count.
        """
        size = votes.centers.shape[-2:]
        targets = [self._targets(sample, size, votes.centers) for sample in batch_data_samples]
        heat, boxes, weight, things, counts = (torch.stack(x) for x in zip(*targets, strict=True))
        centers = votes.centers.sigmoid().clamp(1e-4, 1 - 1e-4)
        num_peaks = (heat == 1).sum().clamp(min=1)
        focal = self.loss_center(centers, heat, weight=counts, avg_factor=num_peaks)
        predicted = decode_boxes(votes.sides)
        chosen = weight > 0
        total = weight.sum().clamp(min=1e-6)
        if chosen.any():
            box = self.loss_box(
                predicted.permute(0, 2, 3, 1)[chosen],
                boxes.permute(0, 2, 3, 1)[chosen],
                weight=weight[chosen],
                avg_factor=total,
            )
        else:
            box = votes.sides.sum() * 0
        thing = F.binary_cross_entropy_with_logits(votes.things, things, reduction='none')
        thing = (thing * counts).sum() / counts.sum().clamp(min=1)
        return dict(loss_center=focal, loss_box_vote=box, loss_thing=self.loss_thing * thing)

    def _targets(
        self, sample, size: tuple[int, int], like: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Targets of one image.

        Returns:
            tuple: Gaussians (num_classes, h, w); the box to vote for (4, h, w), 0 where there is
            none; weight of the vote (h, w), for each instance the square root of its pixels in all,
            and 1 at its center; 1 at a pixel of a thing, (1, h, w); 1 where a pixel counts, (1, h,
            w).
        """
        heat = like.new_zeros(self.num_classes, *size)
        boxes, weight = like.new_zeros(4, *size), like.new_zeros(size)
        things, counts = like.new_zeros(1, *size), like.new_ones(1, *size)
        if 'ignored_instances' in sample and len(sample.ignored_instances):
            masks = _at_stride(sample.ignored_instances.masks, like)
            counts[:, : masks.shape[1], : masks.shape[2]][:, masks.any(0)] = 0
        instances = sample.gt_instances
        if not len(instances):
            return heat, boxes, weight, things, counts
        masks = _at_stride(instances.masks, like)
        sides = instances.bboxes
        sides = sides.tensor if hasattr(sides, 'tensor') else sides
        area = (sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1])
        order = torch.argsort(area, descending=True).tolist()
        for i in order:
            mask = torch.zeros(size, dtype=torch.bool, device=like.device)
            mask[: masks.shape[1], : masks.shape[2]] = masks[i]
            boxes[:, mask] = sides[i][:, None]
            weight[mask] = max(int(mask.sum()), 1) ** -0.5
            things[:, mask] = 1
        # after the masks: the vote at the center counts though something may cover it
        for i in order:
            x0, y0, x1, y1 = (sides[i] / _STRIDE).tolist()
            col = min(max(int((x0 + x1) / 2), 0), size[1] - 1)
            row = min(max(int((y0 + y1) / 2), 0), size[0] - 1)
            radius = gaussian_radius((max(y1 - y0, 1), max(x1 - x0, 1)), min_overlap=_MIN_OVERLAP)
            gen_gaussian_target(heat[instances.labels[i]], [col, row], max(int(radius), 1))
            boxes[:, row, col] = sides[i]
            weight[row, col] = 1
        return heat, boxes, weight, things, counts

    def predict(
        self, votes: BoxVotes, logits: Tensor | None, batch_data_samples: SampleList, rescale: bool
    ) -> list[InstanceData]:
        """Instances of each image.

        Args:
            votes: Output of :meth:`forward`.
            logits: Semantic logits, see :func:`decode_instances`.
            batch_data_samples: Say the sizes of the images.
            rescale: Whether to bring them to the images' original size.

        Returns:
            ``bboxes`` (N, 4) in pixels of that size, ``scores``, ``labels``, ``masks`` bool (N, H,
            W) and ``mask_logits`` (N, 28, 28) within ``mask_boxes`` (N, 4), by falling score.
        """
        results = []
        decoded = zip(*decode_instances(votes, logits, self.max_per_img), strict=True)
        for sample, (boxes, *rest) in zip(batch_data_samples, decoded, strict=True):
            keep = rest[0] > self.score_thr
            scores, labels, logits = (x[keep] for x in rest)
            size = sample.ori_shape[:2] if rescale else sample.img_shape[:2]
            rows, cols = (new / old for new, old in zip(size, sample.img_shape[:2], strict=True))
            boxes = boxes[keep]
            scale = boxes.new_tensor([cols, rows, cols, rows])
            boxes, regions = boxes * scale, mask_boxes(boxes) * scale
            masks = torch.zeros((len(boxes), *size), dtype=torch.bool, device=boxes.device)
            for mask, mask_logits, box in zip(masks, logits, regions.tolist(), strict=True):
                region = box_region(box, *size)
                if mask[region].numel():
                    mask[region] = paste_mask(mask_logits, box, region) > 0
            results.append(
                InstanceData(
                    bboxes=boxes,
                    scores=scores,
                    labels=labels,
                    masks=masks,
                    mask_logits=logits,
                    mask_boxes=regions,
                )
            )
        return results


def _at_stride(masks, like: Tensor) -> Tensor:
    """Bitmap masks (N, H, W) at stride 2, bool: any pixel of an instance makes its cell one."""
    masks = masks.to_tensor(dtype=torch.float32, device=like.device)
    if not len(masks):
        return masks.new_zeros(0, *masks.shape[-2:], dtype=torch.bool)
    return F.max_pool2d(masks[None], _STRIDE, ceil_mode=True)[0] > 0


def decode_boxes(sides: Tensor) -> Tensor:
    """Boxes that pixels vote for.

    Args:
        sides: Distances (B, 4, h, w) to the left, top, right, bottom, pixels.

    Returns:
        (B, 4, h, w): x0, y0, x1, y1, pixels of the input.
    """
    height, width = sides.shape[-2:]
    x = (torch.arange(width, device=sides.device, dtype=sides.dtype) + 0.5) * _STRIDE
    y = (torch.arange(height, device=sides.device, dtype=sides.dtype) + 0.5)[:, None] * _STRIDE
    left, top, right, bottom = sides.unbind(1)
    return torch.stack([x - left, y - top, x + right, y + bottom], dim=1)


def mask_boxes(boxes: Tensor) -> Tensor:
    """Where the masks of instances lie: their boxes, large ones up to a quarter larger.

    Args:
        boxes: (..., 4): x0, y0, x1, y1, pixels of the input.
    """
    margin = (boxes[..., 2:] - boxes[..., :2] - _SMALL_SIDE).clamp(min=0) * _MASK_MARGIN
    return boxes + torch.cat([-margin, margin], dim=-1)


def decode_instances(
    votes: BoxVotes, logits: Tensor | None, count: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Peaks with their boxes and masks, of fixed number, without a loop over them.

    Args:
        votes: Maps of a batch.
        logits: Semantic logits of the input's size, things first, (B, C, H, W); None where there
            are none. A score is the square root of the peak's times the mean probability of its
            class within the mask; that of a repeat is 0.
        count: Number of peaks, the greatest.

    Returns:
        tuple: boxes (B, N, 4), scores (B, N), labels (B, N), mask logits (B, N, 28, 28) within
        :func:`mask_boxes`; by falling score.
    """
    scores = votes.centers.sigmoid()
    peaks = scores * (F.max_pool2d(scores, 3, stride=1, padding=1) == scores)
    batch, _, height, width = scores.shape
    count = min(count, peaks[0].numel())
    scores, index = peaks.flatten(1).topk(count)
    labels, place = index // (height * width), index % (height * width)
    voted = decode_boxes(votes.sides)
    boxes = voted.flatten(2).gather(2, place[:, None].expand(-1, 4, -1)).transpose(1, 2)
    sides = boxes.new_tensor([width, height, width, height]) * _STRIDE
    boxes = boxes.clamp(min=0).minimum(sides)
    maps = [voted, votes.things]
    if logits is not None:
        things = logits.float().softmax(dim=1)[:, : votes.centers.shape[1]]
        maps.append(F.avg_pool2d(things, _STRIDE))
    boxes = _mean_votes(_sample_boxes(torch.cat(maps[:2], dim=1), boxes), boxes)
    boxes = boxes.clamp(min=0).minimum(sides)
    sampled = _sample_boxes(torch.cat(maps, dim=1), mask_boxes(boxes))
    masks = _box_masks(sampled, boxes)
    if logits is not None:
        scores = (scores * _mean_in_mask(sampled[:, 5:], labels, masks)).sqrt()
    scores, order = (scores * ~_repeats(boxes, scores, labels)).topk(count)
    return (
        boxes.gather(1, order[..., None].expand_as(boxes)),
        scores,
        labels.gather(1, order),
        masks.gather(1, order[..., None, None].expand_as(masks)),
    )


def _sample_boxes(maps: Tensor, boxes: Tensor) -> Tensor:
    """Maps on a grid of 28 x 28 within each box.

    Args:
        maps: (B, C, h, w), of stride 2.
        boxes: (B, N, 4), pixels of the input.

    Returns:
        (B, C, N, 28, 28).
    """
    batch, count = boxes.shape[:2]
    height, width = maps.shape[-2:]
    step = (torch.arange(_MASK_SIZE, device=boxes.device, dtype=boxes.dtype) + 0.5) / _MASK_SIZE
    x = boxes[..., 0:1] + step * (boxes[..., 2:3] - boxes[..., 0:1])  # (B, N, 28)
    y = boxes[..., 1:2] + step * (boxes[..., 3:4] - boxes[..., 1:2])
    grid = torch.stack(
        [
            (x / (width * _STRIDE) * 2 - 1)[:, :, None].expand(-1, -1, _MASK_SIZE, -1),
            (y / (height * _STRIDE) * 2 - 1)[..., None].expand(-1, -1, -1, _MASK_SIZE),
        ],
        dim=-1,
    ).flatten(1, 2)
    sampled = F.grid_sample(maps, grid, padding_mode='border', align_corners=False)
    return sampled.view(batch, -1, count, _MASK_SIZE, _MASK_SIZE)


def _box_masks(sampled: Tensor, boxes: Tensor) -> Tensor:
    """Mask logits (B, N, 28, 28): of a thing, and the own vote overlaps the box.

    Args:
        sampled: Votes and logits of things, (B, 5 or more, N, 28, 28).
        boxes: (B, N, 4), pixels.
    """
    own = boxes.transpose(1, 2)[..., None, None]
    near = torch.maximum(sampled[:, :2], own[:, :2])
    far = torch.minimum(sampled[:, 2:4], own[:, 2:])
    overlap = (far - near).clamp(min=0).prod(dim=1)
    area = (sampled[:, 2:4] - sampled[:, :2]).prod(dim=1) + (own[:, 2:] - own[:, :2]).prod(dim=1)
    iou = overlap / (area - overlap).clamp(min=1e-6)
    return torch.minimum(_SHARPNESS * (iou - 0.5), sampled[:, 4])


def _mean_votes(sampled: Tensor, boxes: Tensor) -> Tensor:
    """Mean of the votes in each instance's mask, (B, N, 4); the box itself where that is empty.

    Args:
        sampled: As in :func:`_box_masks`.
        boxes: (B, N, 4), pixels.
    """
    weight = _box_masks(sampled, boxes).clamp(min=0)
    total = weight.sum(dim=(2, 3))
    mean = (sampled[:, :4] * weight[:, None]).sum(dim=(3, 4)) / total.clamp(min=1e-6)[:, None]
    return torch.where(total[..., None] > 0, mean.transpose(1, 2), boxes)


def _repeats(boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """Whether a better instance of the class has nearly the same box, bool (B, N).

    As Fast NMS (YOLACT, Bolya et al., 2019): all pairs at once, so that a repeat of a repeat goes
    too.

    Args:
        boxes: (B, N, 4), pixels.
        scores: (B, N); of two equal ones the first is the better.
        labels: (B, N).
    """
    iou = bbox_overlaps(boxes, boxes)
    place = torch.arange(boxes.shape[1], device=boxes.device)
    first = (scores[:, None] == scores[:, :, None]) & (place < place[:, None])
    better = (scores[:, None] > scores[:, :, None]) | first
    same = labels[:, :, None] == labels[:, None]
    return (better & same & (iou > _REPEAT_IOU)).any(dim=-1)


def _mean_in_mask(things: Tensor, labels: Tensor, masks: Tensor) -> Tensor:
    """Mean probability of each instance's class within its mask, (B, N), 0 in an empty one.

    Args:
        things: Probability of each class, (B, num_things, N, h, w).
        labels: (B, N).
        masks: Logits, (B, N, h, w).
    """
    chosen = labels[:, None, :, None, None].expand(-1, 1, -1, *masks.shape[-2:])
    own = things.gather(1, chosen)[:, 0]
    inside = (masks > 0).to(own.dtype)
    return (own * inside).sum(dim=(2, 3)) / inside.sum(dim=(2, 3)).clamp(min=1)
