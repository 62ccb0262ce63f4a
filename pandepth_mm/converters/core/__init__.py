"""What all converters share: worker processes, restart, annotation files, command line."""

from pandepth_mm.converters.core.converter import Converter, Summary
from pandepth_mm.converters.core.depth_pair import DepthPair
from pandepth_mm.converters.core.frame import (
    Frame,
    add_max_depth_argument,
    check_max_depth,
    write_depth_maps,
    write_maps,
)

__all__ = [
    'Converter',
    'DepthPair',
    'Frame',
    'Summary',
    'add_max_depth_argument',
    'check_max_depth',
    'write_depth_maps',
    'write_maps',
]
