"""Instance head without proposals: centers, and a box voted for by every pixel."""

from collections.abc import Sequence

import torch
from mmdet.models.utils import gaussian_radius, gen_gaussian_target
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn import functional as F

from pandepth_mm.errors import require_count, require_fraction, require_positive
from pandepth_mm.models.fusion_heads.functional import box_region, paste_mask
from pandepth_mm.models.instance_heads.box_votes import (
    STRIDE,
    BoxVotes,
    decode_boxes,
    decode_instances,
    mask_boxes,
)
from pandepth_mm.models.layers.cells import join_cells
from pandepth_mm.models.layers.pointwise import predict_maps
from pandepth_mm.models.layers.scene_features import SceneFeatures
from pandepth_mm.models.layers.separable_conv import separable_conv
from pandepth_mm.registry import MODELS

_UNIT = 8.0  # pixels of a box side that an output of 0 means
_MIN_OVERLAP = 0.7  # IoU with the ground truth that a box moved by the Gaussian's radius keeps


@MODELS.register_module()
class BoxVoteHead(BaseModule):
    """Instances from centers and votes, without anchors or RoIs.

    Every pixel of a thing votes for the box of its instance (its center and its size). A peak of
    the map of centers is an instance. The box that is voted for there says which pixels vote too:
    those within it that are of a thing and whose own vote overlaps it. The median of their votes is
    the instance's box, and its mask are the pixels that vote for that one, also a little outside of
    it: so two cars are told apart though one hides half of the other. Where there are semantic
    logits, the score also says how probable the class is in the mask and how well the votes agree.
    Of several instances of a class with nearly one box the best is kept; where a better one
    overlaps an instance, its score falls.

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
        x = predict_maps(self.predict_maps, self.convs(self.scene(feats[1:], depth, cam2img)))
        x = join_cells(x).float()
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
            x0, y0, x1, y1 = (sides[i] / STRIDE).tolist()
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
            ``bboxes`` (N, 4) in pixels of that size, within the image, ``scores``, ``labels``,
            ``masks`` bool (N, H, W) and ``mask_logits`` (N, 28, 28) within ``mask_boxes`` (N, 4),
            by falling score.
        """
        results = []
        decoded = zip(*decode_instances(votes, logits, self.max_per_img), strict=True)
        for sample, (boxes, *rest) in zip(batch_data_samples, decoded, strict=True):
            height, width = sample.img_shape[:2]
            regions = mask_boxes(boxes)
            # votes reach beyond the image, and into its padding
            boxes = boxes.clamp(min=0).minimum(boxes.new_tensor([width, height] * 2))
            keep = (rest[0] > self.score_thr) & (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
            scores, labels, logits = (x[keep] for x in rest)
            size = sample.ori_shape[:2] if rescale else sample.img_shape[:2]
            scale = boxes.new_tensor([size[1] / width, size[0] / height] * 2)
            boxes, regions = boxes[keep] * scale, regions[keep] * scale
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
    return F.max_pool2d(masks[None], STRIDE, ceil_mode=True)[0] > 0
