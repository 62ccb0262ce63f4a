"""Convert KITTI depth completion: ``pandepth-convert kitti_depth DATA_ROOT --out OUT``."""

from pandepth_mm.converters.kitti_depth.converter import KittiDepthConverter, main

__all__ = ['KittiDepthConverter', 'main']
