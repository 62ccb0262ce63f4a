"""Layers."""

from pandepth_mm.models.layers.continuous_conv import ContinuousConv, point_neighbors
from pandepth_mm.models.layers.fuse_block import (
    FuseBlock,
    gather_points,
    place_points,
    scatter_points,
)
from pandepth_mm.models.layers.point_graph import PointGraph, build_point_graph, knn
from pandepth_mm.models.layers.separable_conv import separable_conv

__all__ = [
    'ContinuousConv',
    'FuseBlock',
    'PointGraph',
    'build_point_graph',
    'gather_points',
    'knn',
    'place_points',
    'point_neighbors',
    'scatter_points',
    'separable_conv',
]
