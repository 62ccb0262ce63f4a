"""A PanDepth up to the fusion, as one function of tensors of fixed size."""

from typing import Any

import torch
from torch import Tensor, nn

from pandepth_mm.errors import InputError
from pandepth_mm.models.data_preprocessors import PanDepthDataPreprocessor
from pandepth_mm.models.depth_heads import CandidateDepthHead, FuseBlockDepthHead
from pandepth_mm.models.depth_heads.fuse_block_depth_head import PreparedDepth
from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.models.detectors.pandepth import DenseOutputs
from pandepth_mm.models.instance_heads import BoxVoteHead
from pandepth_mm.models.instance_heads.box_votes import decode_instances, mask_boxes
from pandepth_mm.models.layers.point_graph import PointGraph

# of a model with a BoxVoteHead
INSTANCE_OUTPUTS = ('boxes', 'scores', 'labels', 'mask_logits', 'mask_boxes')


class DensePath(nn.Module):
    """Image, sparse depth and what is searched in it, to logits, depth and instances.

    Wraps ``PanDepth.forward_dense``: what depends on the data comes from outside
    (``export_inputs``, ``candidate_inputs``), the image is normalized inside. The model is put in
    evaluation mode. A branch of RoIs is not called, so that an exported file does not contain it.

    Args:
        model: The model. A branch that it lacks is left out, with the inputs that only it reads.

    Attributes:
        input_names: Names of the inputs, a part of the arguments of :meth:`forward`.
        output_names: Names of the outputs, see :func:`named_outputs`.

    Raises:
        InputError: The model has nothing to export, or another depth head, instance head or data
            preprocessor than this package's.
    """

    def __init__(self, model: PanDepth) -> None:
        super().__init__()
        self.model = model
        self.input_names, self.output_names = ['img'], []
        if model.semantic_head is not None:
            self.output_names.append('logits')
        if model.depth_head is not None:
            _require_type(model, 'depth_head', CandidateDepthHead, FuseBlockDepthHead)
            self.output_names.append('depth')
            self.input_names.append('sparse_depth')
            if isinstance(model.depth_head, FuseBlockDepthHead):
                self.input_names += ['points', 'pixels', 'knn_indices']
                if model.depth_head.residual is not None:
                    self.input_names.append('fill')
            else:
                self.output_names.append('depth_uncertainty')
        if reads_intrinsics(model):
            self.input_names.append('cam2img')
        if isinstance(model.depth_head, CandidateDepthHead):
            self.input_names.append('nearest')
        if model.instance_head is not None:
            _require_type(model, 'instance_head', BoxVoteHead)
            self.output_names += INSTANCE_OUTPUTS
        if not self.output_names:
            raise InputError(
                'config',
                'neither a semantic nor a depth head',
                'one of them, or an instance_head: only they are exported',
                'model',
            )
        _require_type(model, 'data_preprocessor', PanDepthDataPreprocessor)
        self.eval()

    def forward(
        self,
        img: Tensor,
        sparse_depth: Tensor | None = None,
        points: Tensor | None = None,
        pixels: Tensor | None = None,
        knn_indices: Tensor | None = None,
        fill: Tensor | None = None,
        cam2img: Tensor | None = None,
        nearest: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Predict one image.

        Args:
            img: float (1, 3, H, W), RGB, 0..255.
            sparse_depth: float (1, 1, H, W), meters, 0 = no measurement.
            points: float (N, 3), meters, camera frame.
            pixels: long (N, 2), row and column of each point; -1 in the rows that hold none, which
                contribute nothing.
            knn_indices: long (N, k), rows of the neighbors; -1 for none.
            fill: float (1, 1, H, W), meters: the nearest measurement.
            cam2img: float (1, 3, 3), intrinsics, pixels.
            nearest: float (1, 1, H / 2, W / 2), meters: the nearest measured cell of 2x2 pixels.

        Returns:
            As ``output_names``, see :func:`named_outputs`.
        """
        head, prepared = self.model.depth_head, None
        if isinstance(head, FuseBlockDepthHead):
            row, col = pixels.unbind(dim=1)
            graph = PointGraph(torch.zeros_like(row), row, col, points, knn_indices)
            prepared = PreparedDepth(head.in_range(sparse_depth), graph, fill)
        elif head is not None:
            prepared = head.prepare(sparse_depth, cam2img, nearest)
        inputs = dict(img=self._normalize(img), cam2img=cam2img)
        out = named_outputs(self.model, self.model.forward_dense(inputs, prepared))
        return tuple(out[name] for name in self.output_names)

    def _normalize(self, img: Tensor) -> Tensor:
        """What the data preprocessor makes of an image, RGB to begin with."""
        preprocessor = self.model.data_preprocessor
        if not preprocessor._channel_conversion:
            img = img.flip(1)  # a model of BGR
        if preprocessor._enable_normalize:
            img = (img - preprocessor.mean) / preprocessor.std
        return img

    def select(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Those of a frame's inputs that this model reads, in order."""
        return {name: inputs[name] for name in self.input_names}


def named_outputs(model: PanDepth, out: DenseOutputs) -> dict[str, Tensor]:
    """What a file gives, by name.

    Args:
        model: The model.
        out: Of its ``forward_dense``.

    Returns:
        As far as the branches exist: ``logits`` (B, num_classes, H, W), the joint head's if there
        is one; ``depth`` and ``depth_uncertainty`` (B, 1, H, W), meters; the instances of
        :func:`decode_instances`: ``boxes`` (B, M, 4), pixels, ``scores`` (B, M), ``labels`` long
        (B, M), ``mask_logits`` (B, M, 28, 28) within ``mask_boxes`` (B, M, 4), pixels.
    """
    maps = dict(
        logits=out.logits if out.refined is None else out.refined,
        depth=out.depth,
        depth_uncertainty=out.uncertainty,
    )
    named = {name: value for name, value in maps.items() if value is not None}
    if out.votes is not None:
        instances = decode_instances(
            out.votes, named.get('logits'), model.instance_head.max_per_img
        )
        named.update(zip(INSTANCE_OUTPUTS, (*instances, mask_boxes(instances[0])), strict=True))
    return named


def reads_intrinsics(model: PanDepth) -> bool:
    """Whether a head reads ``cam2img`` itself, not by way of the points."""
    heads = (model.semantic_head, model.instance_head)
    return isinstance(model.depth_head, CandidateDepthHead) or any(
        getattr(head, 'reads_depth', False) for head in heads
    )


def _require_type(model: PanDepth, part: str, *known: type) -> None:
    """Refuse a part whose inputs the export does not know."""
    found = getattr(model, part)
    if not isinstance(found, known):
        expected = ' or '.join(cls.__name__ for cls in known)
        raise InputError('config', type(found).__name__, expected, f'model.{part}')
