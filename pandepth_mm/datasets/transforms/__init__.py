from .flip_panoptic_depth import FlipPanopticDepth
from .load_depth_map import LoadDepthMap
from .load_panoptic_map import LoadPanopticMap
from .pack_panoptic_depth_inputs import PackPanopticDepthInputs
from .resample_sparse_depth import ResampleSparseDepth
from .resize_panoptic_depth import ResizePanopticDepth

__all__ = [
    'FlipPanopticDepth', 'LoadDepthMap', 'LoadPanopticMap',
    'PackPanopticDepthInputs', 'ResampleSparseDepth', 'ResizePanopticDepth'
]
