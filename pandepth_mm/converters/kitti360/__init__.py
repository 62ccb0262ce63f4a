"""Convert KITTI-360: ``pandepth-convert kitti360 DATA_ROOT --out OUT``."""

from pandepth_mm.converters.kitti360.converter import KITTI360Converter, main

__all__ = ['KITTI360Converter', 'main']
