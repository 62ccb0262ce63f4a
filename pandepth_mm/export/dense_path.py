"""The dense path of PanDepth as one function of tensors of fixed size."""

import torch
from torch import Tensor, nn

from pandepth_mm.errors import InputError
from pandepth_mm.models.data_preprocessors import PanDepthDataPreprocessor
from pandepth_mm.models.depth_heads.fuse_block_depth_head import PreparedDepth
from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.models.layers.point_graph import PointGraph


class DensePath(nn.Module):
    """Image, sparse depth and points to logits and depth, without data flow.

    Shares the branches of a model that predict a value for each pixel, and
    puts them in evaluation mode. What depends on the data comes from outside
    (``export_inputs``): neighbours and fill. The image is normalised inside.
    A branch that the model lacks is left out, with the inputs that only it
    reads.

    Args:
        model: The model.

    Attributes:
        input_names: Names of the inputs, in the order of :meth:`forward`.
        output_names: Names of the outputs: 'logits' with a semantic head,
            'depth' with a depth head.

    Raises:
        InputError: The model has neither a semantic nor a depth head, or
            another data preprocessor than this package's.
    """

    def __init__(self, model: PanDepth) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.neck = model.neck
        self.semantic_head = model.semantic_head
        self.depth_head = model.depth_head
        self.joint_head = model.joint_head
        self.preprocessor = model.data_preprocessor
        self.input_names, self.output_names = ['img'], []
        if self.semantic_head is not None:
            self.output_names.append('logits')
        if self.depth_head is not None:
            self.input_names += ['sparse_depth', 'points', 'pixels', 'knn_indices']
            if self.depth_head.residual is not None:
                self.input_names.append('fill')
            self.output_names.append('depth')
        if not self.output_names:
            raise InputError(
                'config',
                'neither a semantic nor a depth head',
                'one of them: only they are exported',
                'model',
            )
        if not isinstance(self.preprocessor, PanDepthDataPreprocessor):
            raise InputError(
                'config',
                type(self.preprocessor).__name__,
                'PanDepthDataPreprocessor',
                'model.data_preprocessor',
            )
        self.eval()

    def forward(
        self,
        img: Tensor,
        sparse_depth: Tensor | None = None,
        points: Tensor | None = None,
        pixels: Tensor | None = None,
        knn_indices: Tensor | None = None,
        fill: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Predict one image.

        Args:
            img: float (1, 3, H, W), RGB, 0..255.
            sparse_depth: float (1, 1, H, W), metres, 0 = no measurement.
            points: float (N, 3), metres, camera frame.
            pixels: long (N, 2), row and column of each point; -1 in the rows
                that hold none, which contribute nothing.
            knn_indices: long (N, k), rows of the neighbours; -1 for none.
            fill: float (1, 1, H, W), metres: the nearest measurement.

        Returns:
            As ``output_names``: logits (1, num_classes, H, W), the joint
            head's if there is one, and depth (1, 1, H, W), metres.
        """
        img = self._normalize(img)
        logits = depth = None
        if self.semantic_head is not None:
            feats = self.backbone(img)
            if self.neck is not None:
                feats = self.neck(feats)
            logits = self.semantic_head(feats, img.shape[-2:])
        if self.depth_head is not None:
            row, col = pixels.unbind(dim=1)
            graph = PointGraph(torch.zeros_like(row), row, col, points, knn_indices)
            prepared = PreparedDepth(self.depth_head.in_range(sparse_depth), graph, fill)
            depth = self.depth_head(img, None, prepared, logits)
        if self.joint_head is not None:
            logits = self.joint_head(logits, depth)
        return tuple(out for out in (logits, depth) if out is not None)

    def _normalize(self, img: Tensor) -> Tensor:
        """What the data preprocessor makes of an image, RGB to begin with."""
        if not self.preprocessor._channel_conversion:
            img = img.flip(1)  # a model of BGR
        if self.preprocessor._enable_normalize:
            img = (img - self.preprocessor.mean) / self.preprocessor.std
        return img

    def select(self, inputs: dict[str, object]) -> dict[str, object]:
        """Those of ``export_inputs`` that this model reads, in order."""
        return {name: inputs[name] for name in self.input_names}
