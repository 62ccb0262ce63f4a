"""Convert KITTI-STEP: ``pandepth-convert kitti_step DATA_ROOT --out OUT``."""

from pandepth_mm.converters.kitti_step.converter import KITTIStepConverter, main

__all__ = ['KITTIStepConverter', 'main']
