"""The detector, which joins the branches."""

from pandepth_mm.models.detectors.pandepth import PanDepth

__all__ = ['PanDepth']
