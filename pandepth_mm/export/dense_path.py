"""The dense path of PanDepth as one function of tensors of fixed size."""

import torch
from torch import Tensor, nn

from pandepth_mm.errors import InputError
from pandepth_mm.models.data_preprocessors import PanDepthDataPreprocessor
from pandepth_mm.models.depth_heads.fuse_block_depth_head import FuseBlockDepthHead, PreparedDepth
from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.models.layers.point_graph import PointGraph


class DensePath(nn.Module):
    """Image, sparse depth and points to logits and depth, by the dense branches alone.

    Wraps ``PanDepth.forward_dense``: what depends on the data comes from outside
    (``export_inputs``), the image is normalized inside. The model is put in evaluation mode. Its
    instance branch is not called, so that an exported file does not contain it.

    Args:
        model: The model. A branch that it lacks is left out, with the inputs that only it reads.

    Attributes:
        input_names: Names of the inputs, in the order of :meth:`forward`.
        output_names: Names of the outputs: 'logits' with a semantic head, 'depth' with a depth
            head.

    Raises:
        InputError: The model has neither a semantic nor a depth head, or another depth head or data
            preprocessor than this package's.
    """

    def __init__(self, model: PanDepth) -> None:
        super().__init__()
        self.model = model
        self.input_names, self.output_names = ['img'], []
        if model.semantic_head is not None:
            self.output_names.append('logits')
        if model.depth_head is not None:
            _require_type(model, 'depth_head', FuseBlockDepthHead)
            self.input_names += ['sparse_depth', 'points', 'pixels', 'knn_indices']
            if model.depth_head.residual is not None:
                self.input_names.append('fill')
            self.output_names.append('depth')
        if not self.output_names:
            raise InputError(
                'config',
                'neither a semantic nor a depth head',
                'one of them: only they are exported',
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

        Returns:
            As ``output_names``: logits (1, num_classes, H, W), the joint head's if there is one,
            and depth (1, 1, H, W), meters.
        """
        prepared = None
        if self.model.depth_head is not None:
            row, col = pixels.unbind(dim=1)
            graph = PointGraph(torch.zeros_like(row), row, col, points, knn_indices)
            prepared = PreparedDepth(self.model.depth_head.in_range(sparse_depth), graph, fill)
        out = self.model.forward_dense(dict(img=self._normalize(img)), prepared)
        logits = out.logits if out.refined is None else out.refined
        return tuple(x for x in (logits, out.depth) if x is not None)

    def _normalize(self, img: Tensor) -> Tensor:
        """What the data preprocessor makes of an image, RGB to begin with."""
        preprocessor = self.model.data_preprocessor
        if not preprocessor._channel_conversion:
            img = img.flip(1)  # a model of BGR
        if preprocessor._enable_normalize:
            img = (img - preprocessor.mean) / preprocessor.std
        return img

    def select(self, inputs: dict[str, object]) -> dict[str, object]:
        """Those of ``export_inputs`` that this model reads, in order."""
        return {name: inputs[name] for name in self.input_names}


def _require_type(model: PanDepth, part: str, known: type) -> None:
    """Refuse a part whose inputs the export does not know."""
    found = getattr(model, part)
    if not isinstance(found, known):
        raise InputError('config', type(found).__name__, known.__name__, f'model.{part}')
