"""Convert Virtual KITTI 2: ``pandepth-convert vkitti2 DATA_ROOT --out OUT``."""

from pandepth_mm.converters.vkitti2.converter import VKITTI2Converter, main

__all__ = ['VKITTI2Converter', 'main']
