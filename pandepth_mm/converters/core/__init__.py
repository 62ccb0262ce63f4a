"""What all converters share: worker processes, restart, annotation files, command line."""

from pandepth_mm.converters.core.converter import Converter, Summary
from pandepth_mm.converters.core.frame import Frame, check_max_depth, write_depth_maps, write_maps

__all__ = ['Converter', 'Frame', 'Summary', 'check_max_depth', 'write_depth_maps', 'write_maps']
