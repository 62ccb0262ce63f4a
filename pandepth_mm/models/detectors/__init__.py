from .pandepth import PanDepth

__all__ = ['PanDepth']
