"""Make sparse depth of point clouds: ``pandepth-convert points_to_depth DATA_ROOT --out OUT``."""

from pandepth_mm.converters.points_to_depth.converter import PointsToDepthConverter, main

__all__ = ['PointsToDepthConverter', 'main']
