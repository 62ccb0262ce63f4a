"""Metrics, the pure functions below them, and their table."""

from pandepth_mm.evaluation.metrics import (
    DepthMetric,
    FormatPredictions,
    InstanceMetric,
    PanopticMetric,
    SemanticMetric,
)
from pandepth_mm.evaluation.table import format_class_table, format_table

__all__ = [
    'DepthMetric',
    'FormatPredictions',
    'InstanceMetric',
    'PanopticMetric',
    'SemanticMetric',
    'format_class_table',
    'format_table',
]
