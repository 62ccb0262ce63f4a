"""Transforms that keep an image and its depth together."""

from pandepth_mm.datasets.transforms.flip_panoptic_depth import FlipPanopticDepth
from pandepth_mm.datasets.transforms.ignore_tiny_instances import IgnoreTinyInstances
from pandepth_mm.datasets.transforms.load_depth_map import LoadDepthMap
from pandepth_mm.datasets.transforms.load_image_from_file import LoadImageFromFile
from pandepth_mm.datasets.transforms.load_panoptic_map import LoadPanopticMap
from pandepth_mm.datasets.transforms.pack_panoptic_depth_inputs import PackPanopticDepthInputs
from pandepth_mm.datasets.transforms.photo_noise import PhotoNoise
from pandepth_mm.datasets.transforms.random_convolution import RandomConvolution
from pandepth_mm.datasets.transforms.random_crop_panoptic_depth import RandomCropPanopticDepth
from pandepth_mm.datasets.transforms.random_resize_panoptic_depth import RandomResizePanopticDepth
from pandepth_mm.datasets.transforms.recolor_segments import RecolorSegments
from pandepth_mm.datasets.transforms.resample_sparse_depth import ResampleSparseDepth
from pandepth_mm.datasets.transforms.resize_panoptic_depth import ResizePanopticDepth
from pandepth_mm.datasets.transforms.simulate_lidar import SimulateLidar

__all__ = [
    'FlipPanopticDepth',
    'IgnoreTinyInstances',
    'LoadDepthMap',
    'LoadImageFromFile',
    'LoadPanopticMap',
    'PackPanopticDepthInputs',
    'PhotoNoise',
    'RandomConvolution',
    'RandomCropPanopticDepth',
    'RandomResizePanopticDepth',
    'RecolorSegments',
    'ResampleSparseDepth',
    'ResizePanopticDepth',
    'SimulateLidar',
]
