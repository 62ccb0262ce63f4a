"""PanDepth for OpenMMLab: panoptic segmentation with depth completion.

Importing the package checks which OpenMMLab packages are installed, but does
not import them.
"""

from pandepth_mm.version import __version__, check_stack

check_stack()

__all__ = ['__version__']
