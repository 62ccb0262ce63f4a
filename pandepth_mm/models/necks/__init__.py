"""Necks."""

from pandepth_mm.models.necks.geometry_pyramid import GeometryPyramid
from pandepth_mm.models.necks.two_way_fpn import TwoWayFPN

__all__ = ['GeometryPyramid', 'TwoWayFPN']
