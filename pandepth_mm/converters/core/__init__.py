"""What all converters share: worker processes, restart, annotation files, command line."""

from pandepth_mm.converters.core.converter import Converter, Frame, Summary, write_maps

__all__ = ['Converter', 'Frame', 'Summary', 'write_maps']
