"""The detector, which joins the branches."""

from pandepth_mm.models.detectors.pandepth import PanDepth
from pandepth_mm.models.detectors.partly_frozen_pandepth import PartlyFrozenPanDepth

__all__ = ['PanDepth', 'PartlyFrozenPanDepth']
