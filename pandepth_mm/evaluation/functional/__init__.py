"""Pure functions on numpy arrays; the metrics are thin classes around them."""

from pandepth_mm.evaluation.functional.depth import (
    ERRORS,
    MIN_DEPTH,
    ROW,
    depth_means,
    depth_pooled,
    depth_row,
    depth_summary,
    seen_pixels,
)
from pandepth_mm.evaluation.functional.depth_fill import (
    FILLS,
    classical_fill,
    nearest_fill,
    planar_fill,
    resize_bilinear,
)
from pandepth_mm.evaluation.functional.depth_legacy import legacy_row, legacy_summary
from pandepth_mm.evaluation.functional.depth_panoptic import (
    depth_error_bins,
    depth_panoptic_stats,
    depth_panoptic_summary,
)
from pandepth_mm.evaluation.functional.panoptic import (
    class_confusion,
    match_segments,
    overlap_table,
    panoptic_stats,
    panoptic_summary,
)
from pandepth_mm.evaluation.functional.semantic import confusion_matrix, semantic_summary

__all__ = [
    'ERRORS',
    'FILLS',
    'MIN_DEPTH',
    'ROW',
    'class_confusion',
    'classical_fill',
    'confusion_matrix',
    'depth_error_bins',
    'depth_means',
    'depth_panoptic_stats',
    'depth_panoptic_summary',
    'depth_pooled',
    'depth_row',
    'depth_summary',
    'legacy_row',
    'legacy_summary',
    'match_segments',
    'nearest_fill',
    'overlap_table',
    'panoptic_stats',
    'panoptic_summary',
    'planar_fill',
    'resize_bilinear',
    'seen_pixels',
    'semantic_summary',
]
