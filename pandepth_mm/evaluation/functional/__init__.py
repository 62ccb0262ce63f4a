"""Pure functions on numpy arrays; the metrics are thin classes around."""
from .depth import ERRORS, MIN_DEPTH, ROW, depth_row, depth_summary
from .depth_fill import classical_fill, nearest_fill, resize_bilinear
from .panoptic import (
                       decode_panoptic,
                       match_segments,
                       overlap_table,
                       panoptic_stats,
                       panoptic_summary,
)
from .semantic import confusion_matrix, semantic_summary

__all__ = [
    'ERRORS', 'MIN_DEPTH', 'ROW', 'classical_fill', 'confusion_matrix',
    'decode_panoptic', 'depth_row', 'depth_summary', 'match_segments',
    'nearest_fill', 'overlap_table', 'panoptic_stats', 'panoptic_summary',
    'resize_bilinear', 'semantic_summary'
]
