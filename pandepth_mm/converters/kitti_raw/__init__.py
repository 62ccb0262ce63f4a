"""Convert KITTI's raw drives: ``pandepth-convert kitti_raw DATA_ROOT --out OUT``."""

from pandepth_mm.converters.kitti_raw.converter import KittiRawConverter, main

__all__ = ['KittiRawConverter', 'main']
