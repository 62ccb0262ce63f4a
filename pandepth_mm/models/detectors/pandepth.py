"""The detector of the paper."""

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample, SampleList
from mmdet.utils import OptConfigType, OptMultiConfig
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from pandepth_mm.errors import require_choice
from pandepth_mm.models.depth_heads.base import DepthPrediction
from pandepth_mm.models.detectors.checks import (
    check_branches,
    check_counts,
    check_feats,
    check_geometry,
    check_losses,
)
from pandepth_mm.models.detectors.image_maps import alike, to_image
from pandepth_mm.models.detectors.partial_truth import with_truth
from pandepth_mm.models.detectors.roi_inputs import (
    class_agnostic,
    complete_roi_head,
    full_precision,
)
from pandepth_mm.models.fusion_heads.functional import best_classes
from pandepth_mm.models.hand_down import hand_down
from pandepth_mm.models.instance_heads.box_votes import BoxVotes
from pandepth_mm.registry import MODELS


class DenseOutputs(NamedTuple):
    """What the network computes for every pixel; None where no branch is.

    Shapes are those of the (padded) network input, (H, W).
    """

    feats: tuple[Tensor, ...] | None  # strides 4, 8, 16, 32, in the light family 2 before them
    logits: Tensor | None  # preliminary, (B, num_classes, H, W)
    depth: Tensor | None  # (B, 1, H, W), meters
    refined: Tensor | None  # joint head's logits, (B, num_classes, H, W)
    uncertainty: Tensor | None = None  # of the depth, (B, 1, H, W), meters
    votes: BoxVotes | None = None  # of the instance head
    roi_feats: tuple[Tensor, ...] | None = None  # what proposals and RoIs read


@MODELS.register_module()
class PanDepth(BaseDetector):
    """Joint panoptic segmentation and depth completion (paper, section 3).

    Owns the branches and the order in which they feed each other: features -> preliminary semantic
    logits -> dense depth -> refined logits, with the instance branch beside them and the panoptic
    fusion at the end. A branch whose config is left out does not exist, nor do its losses and
    predictions. Heads that can read the dense depth (of the light family) come after it instead,
    and their losses do not reach it.

    The class counts and the depth range stand here once; the detector writes them into the configs
    of its heads.

    The loss weights are the heads' own (``loss=dict(loss_weight=...)``), and so is the way the
    logits enter the depth head (its ``semantics``). A head is trained if its own weight is more
    than 0, or if a trained head reads its output with a gradient: the joint head reads logits and
    depth, the depth head the logits unless they are detached. A model with a head that is not
    trained is refused. So is a weight of 0 on a loss of the instance branch, whose output layers
    have no other, and a fusion of preliminary logits that no semantic loss has made into class
    logits. (Where the depth loss alone trains the semantic head, its logits are features, and
    ``pred_sem_seg`` means nothing.)

    Args:
        num_things: Number of thing classes, labels 0 .. num_things - 1. With 0 there can be no
            instance branch, and so no panoptic fusion.
        num_stuff: Number of stuff classes, the labels after them.
        max_depth: Depth range in meters.
        backbone: Config of the image backbone.
        neck: Config of the neck on it.
        semantic_head: Config of the preliminary semantic head.
        instance_neck: Config of a neck between the features with the dense depth and the two heads
            below.
        rpn_head: Config of the region proposal head.
        roi_head: Config of the box and mask heads.
        instance_head: Config of an instance head without proposals, instead of the two above.
        depth_head: Config of the depth completion head.
        joint_head: Config of the head that refines the semantics by depth.
        panoptic_fusion: Config of the fusion of semantics and instances.
        panoptic_baseline: Config of a second fusion, for comparison.
        fusion_logits: Which semantic logits the fusion reads: 'refined', the joint head's (the
            preliminary ones where there is no joint head), or 'preliminary'. ``pred_sem_seg`` does
            not depend on it: it comes from the refined logits wherever there is a joint head.
        train_cfg: ``rpn``, ``rpn_proposal`` and ``rcnn``, as mmdet has them.
        test_cfg: ``rpn`` and ``rcnn``, as mmdet has them.
        data_preprocessor: Config of the data preprocessor.
        init_cfg: Initialization config.

    Raises:
        InputError: A branch lacks one that it needs, two compute the instances, no branch is left,
            a head's config states a count that differs from the detector's, a head reads the depth
            where there is none, a head is left without any loss, or ``fusion_logits`` is unknown.
    """

    def __init__(
        self,
        num_things: int,
        num_stuff: int,
        max_depth: float,
        backbone: OptConfigType = None,
        neck: OptConfigType = None,
        semantic_head: OptConfigType = None,
        instance_neck: OptConfigType = None,
        rpn_head: OptConfigType = None,
        roi_head: OptConfigType = None,
        instance_head: OptConfigType = None,
        depth_head: OptConfigType = None,
        joint_head: OptConfigType = None,
        panoptic_fusion: OptConfigType = None,
        panoptic_baseline: OptConfigType = None,
        fusion_logits: str = 'refined',
        train_cfg: OptConfigType = None,
        test_cfg: OptConfigType = None,
        data_preprocessor: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.num_things = num_things
        self.num_stuff = num_stuff
        self.num_classes = num_things + num_stuff
        self.max_depth = max_depth
        branches = dict(
            backbone=backbone,
            neck=neck,
            semantic_head=semantic_head,
            instance_neck=instance_neck,
            rpn_head=rpn_head,
            roi_head=roi_head,
            instance_head=instance_head,
            depth_head=depth_head,
            joint_head=joint_head,
            panoptic_fusion=panoptic_fusion,
            panoptic_baseline=panoptic_baseline,
        )
        check_branches(branches)
        check_counts(branches, num_things, num_stuff)
        choices = ('refined', 'preliminary')
        require_choice(fusion_logits, choices, 'config', 'model.fusion_logits')
        self.fusion_logits = fusion_logits

        depth_classes = self.num_classes if semantic_head else 0
        handed = dict(
            semantic_head=dict(num_classes=self.num_classes),
            instance_head=dict(num_classes=num_things),
            depth_head=dict(num_classes=depth_classes, max_depth=max_depth),
            joint_head=dict(num_classes=self.num_classes, max_depth=max_depth),
            panoptic_fusion=dict(num_things=num_things, num_stuff=num_stuff),
            panoptic_baseline=dict(num_things=num_things, num_stuff=num_stuff),
        )
        for name, values in handed.items():
            if branches[name] is not None:
                branches[name] = hand_down(branches[name], f'model.{name}', values)
        if roi_head is not None:
            branches['roi_head'] = complete_roi_head(roi_head, num_things, train_cfg, test_cfg)
            branches['rpn_head'] = copy.deepcopy(rpn_head)
            branches['rpn_head'].update(
                train_cfg=train_cfg.get('rpn') if train_cfg else None, test_cfg=test_cfg['rpn']
            )
            self.rpn_proposal_cfg = (train_cfg or {}).get('rpn_proposal', test_cfg['rpn'])
        for name, cfg in branches.items():
            setattr(self, name, None if cfg is None else MODELS.build(cfg))
        check_geometry(self)
        check_losses(self)

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """Features of an image batch (B, 3, H, W), finest first.

        Raises:
            InputError: Proposals read them, and their strides are not those of the anchors.
        """
        feats = self.backbone(batch_inputs)
        if self.neck is not None:
            feats = self.neck(feats)
        if self.instance_neck is None:
            check_feats(self, feats, batch_inputs.shape[-2:])
        return tuple(feats)

    def forward_dense(
        self, batch_inputs: dict[str, Tensor], prepared: Any | None = None
    ) -> DenseOutputs:
        """Run every branch that predicts a value for each pixel.

        Args:
            batch_inputs: ``img`` (B, 3, H, W) normalized, ``sparse_depth`` (B, 1, H, W) in meters,
                ``cam2img`` (B, 3, 3) in pixels. Where ``prepared`` is given, the former is not
                read, and the latter only by heads that read the dense depth.
            prepared: What the depth head's ``prepare`` makes of sparse depth and intrinsics; by
                default it is called here.

        Raises:
            InputError: Proposals read maps whose strides are not those of the anchors.
        """
        img = batch_inputs['img']
        feats = logits = depth = refined = uncertainty = votes = geometry = roi_feats = None
        if self.backbone is not None:
            feats = self.extract_feat(img)
        depth_first = hasattr(self.semantic_head, 'reads_depth')
        if self.semantic_head is not None and not depth_first:
            logits = self.semantic_head(feats, img.shape[-2:])
        if self.depth_head is not None:
            if prepared is None:
                prepared = self.depth_head.prepare(
                    batch_inputs['sparse_depth'], batch_inputs['cam2img']
                )
            depth = self.depth_head(img, feats, prepared, logits)
            if isinstance(depth, DepthPrediction):
                depth, uncertainty = depth
            readers = (self.semantic_head, self.instance_neck, self.instance_head)
            if any(getattr(reader, 'reads_depth', False) for reader in readers):
                geometry = torch.where(self.depth_head.measured(prepared), depth.detach(), 0.0)
        cam2img = batch_inputs.get('cam2img')
        if self.semantic_head is not None and depth_first:
            logits = self.semantic_head(feats, geometry, cam2img)
        if self.instance_head is not None:
            votes = self.instance_head(feats, geometry, cam2img)
        if self.roi_head is not None:
            roi_feats = feats
            if self.instance_neck is not None:
                roi_feats = self.instance_neck(feats, geometry, cam2img)
                check_feats(self, roi_feats, img.shape[-2:])
        if self.joint_head is not None:
            refined = self.joint_head(logits, depth)
        return DenseOutputs(feats, logits, depth, refined, uncertainty, votes, roi_feats)

    def loss(
        self, batch_inputs: dict[str, Tensor], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Losses of every branch (paper, equations 1 to 5).

        The weights of the sum are the heads' own loss weights. A sample may lack ground truth; a
        loss is that of the samples that have its own, see :func:`with_truth`.
        """
        out = self.forward_dense(batch_inputs)
        losses = dict()
        if self.semantic_head is not None:
            part = with_truth('labels', out, batch_data_samples)
            gt_sem_seg = torch.cat([s.gt_sem_seg.sem_seg for s in part.samples])
            semantic = self.semantic_head.loss_by_feat(part.outputs.logits, gt_sem_seg)
            if self.joint_head is not None:
                semantic.update(self.joint_head.loss_by_feat(part.outputs.refined, gt_sem_seg))
            losses.update(part.weighted(semantic))
        if self.depth_head is not None:
            part = with_truth('depth', out, batch_data_samples)
            gt_depth_map = torch.stack([s.gt_depth_map.data for s in part.samples])
            pred = part.outputs.depth
            if part.outputs.uncertainty is not None:
                pred = DepthPrediction(pred, part.outputs.uncertainty)
            losses.update(part.weighted(self.depth_head.loss_by_feat(pred, gt_depth_map)))
        if self.instance_head is not None:
            part = with_truth('instances', out, batch_data_samples)
            instance = self.instance_head.loss_by_feat(part.outputs.votes, part.samples)
            losses.update(part.weighted(instance))
        if self.roi_head is not None:
            part = with_truth('instances', out, batch_data_samples)
            instance = self._instance_loss(part.outputs.roi_feats, part.samples)
            losses.update(part.weighted(instance))
        return losses

    def _instance_loss(
        self, feats: tuple[Tensor, ...], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """The five losses of Mask R-CNN (paper, equation 3), in float32."""
        with full_precision(feats) as feats:
            rpn_losses, proposals = self.rpn_head.loss_and_predict(
                feats,
                [class_agnostic(s) for s in batch_data_samples],
                proposal_cfg=self.rpn_proposal_cfg,
            )
            losses = {
                key if 'rpn' in key else f'rpn_{key}': value for key, value in rpn_losses.items()
            }
            losses.update(self.roi_head.loss(feats, proposals, batch_data_samples))
            if 'loss_cls' not in losses:  # every RoI is ignored; DDP waits for every gradient
                losses['loss_cls'] = 0 * sum(p.sum() for p in self.roi_head.parameters())
        return losses

    def predict(
        self, batch_inputs: dict[str, Tensor], batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """Predict, at the images' original size (``rescale``) or the input's.

        Labels come from interpolated logits, depth is interpolated bilinearly. The samples get
        ``pred_instances`` (bboxes, scores, labels, masks), ``pred_sem_seg``, ``pred_panoptic_seg``
        (id = label + 1000 * instance number, num_classes = void), the same in
        ``pred_panoptic_baseline``, ``pred_depth_map`` and, if the head knows it,
        ``pred_depth_uncertainty`` (meters), as far as the branches exist, and the metainfo
        ``max_depth``, the model's depth range in meters.

        A prediction does not depend on what else is in the batch: no image is padded to the size
        of another one, see :func:`alike`.
        """
        for indices, (height, width) in alike(batch_inputs['img'], batch_data_samples):
            samples = [batch_data_samples[i] for i in indices]
            inputs = dict(batch_inputs)
            if len(samples) < len(batch_data_samples):
                inputs = {key: value[indices] for key, value in inputs.items()}
            for key in ('img', 'sparse_depth'):
                inputs[key] = inputs[key][..., :height, :width].contiguous()
            for sample in samples:
                sample.set_metainfo(
                    dict(batch_input_shape=(height, width), max_depth=self.max_depth)
                )
            self._predict_alike(inputs, samples, rescale)
        return batch_data_samples

    def _predict_alike(
        self, batch_inputs: dict[str, Tensor], batch_data_samples: SampleList, rescale: bool
    ) -> None:
        """:meth:`predict` for images of one size."""
        out = self.forward_dense(batch_inputs)
        # what follows the dense branches keeps one core busy; the depth's part takes another
        with ThreadPoolExecutor(max_workers=1) as pool:
            finished = []
            if out.depth is not None:
                finished = [
                    pool.submit(self._finish_depth, out, i, sample, rescale)
                    for i, sample in enumerate(batch_data_samples)
                ]
            self._predict_segments(out, batch_data_samples, rescale)
        for sample, future in zip(batch_data_samples, finished, strict=False):
            depth, uncertainty = future.result()
            sample.pred_depth_map = PixelData(data=depth)
            if uncertainty is not None:
                sample.pred_depth_uncertainty = PixelData(data=uncertainty)

    def _predict_segments(
        self, out: DenseOutputs, batch_data_samples: SampleList, rescale: bool
    ) -> None:
        """Semantics, instances and their fusion, see :meth:`predict`."""
        logits = out.logits if out.refined is None else out.refined
        if self.instance_head is None:
            instances = self._predict_instances(out.roi_feats, batch_data_samples, rescale)
        else:
            instances = self.instance_head.predict(out.votes, logits, batch_data_samples, rescale)
        for i, sample in enumerate(batch_data_samples):
            if logits is not None:
                image_logits = to_image(logits[i], sample, rescale)
                labels = best_classes(image_logits)[1]
                sample.pred_sem_seg = PixelData(sem_seg=labels[None])
            if self.panoptic_fusion is not None:
                if self.fusion_logits == 'preliminary':
                    image_logits, labels = to_image(out.logits[i], sample, rescale), None
                panoptic = self.panoptic_fusion.predict(image_logits, instances[i], labels)
                sample.pred_panoptic_seg = PixelData(sem_seg=panoptic[None])
            if self.panoptic_baseline is not None:
                panoptic = self.panoptic_baseline.predict(image_logits, instances[i])
                sample.pred_panoptic_baseline = PixelData(sem_seg=panoptic[None])
            if instances is not None:
                # only the fusion needs them
                for key in ('mask_logits', 'mask_boxes'):
                    instances[i].pop(key, None)
                sample.pred_instances = instances[i]

    def _finish_depth(
        self, out: DenseOutputs, i: int, sample: DetDataSample, rescale: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Depth and uncertainty of image i, with what was measured at the image's size."""
        depth = to_image(out.depth[i], sample, rescale)
        uncertainty = None
        if out.uncertainty is not None:
            uncertainty = to_image(out.uncertainty[i], sample, rescale)
        if rescale and 'ori_sparse_depth' in sample:
            return self.depth_head.finish(depth, uncertainty, sample.ori_sparse_depth.data)
        return depth, uncertainty

    def _predict_instances(
        self, feats: tuple[Tensor, ...] | None, batch_data_samples: SampleList, rescale: bool
    ) -> list[InstanceData] | None:
        """Boxes, scores, labels, masks and mask logits of each image."""
        if self.roi_head is None:
            return None
        with full_precision(feats) as feats:
            proposals = self.rpn_head.predict(feats, batch_data_samples, rescale=False)
            results = self.roi_head.predict(feats, proposals, batch_data_samples, rescale=rescale)
        for result in results:
            if 'mask_logits' not in result and self.roi_head.with_mask:
                # mmdet skips the mask head where the batch has no box
                size = self.roi_head.mask_head.roi_feat_size[0] * 2
                result.mask_logits = result.scores.new_zeros((0, size, size))
        return results

    def _forward(
        self, batch_inputs: dict[str, Tensor], batch_data_samples: list[DetDataSample] | None = None
    ) -> DenseOutputs:
        """Network forward without post-processing: the dense outputs."""
        return self.forward_dense(batch_inputs)
