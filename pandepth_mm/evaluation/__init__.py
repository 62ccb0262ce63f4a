"""Metrics, the pure functions below them, and their table."""

import pandepth_mm.registry  # noqa: F401  (first: mmdet wants mmcv's ops)
from pandepth_mm.evaluation.metrics import (
    DepthBreakdownMetric,
    DepthLegacyMetric,
    DepthMetric,
    FormatPredictions,
    InstanceMetric,
    PanopticMetric,
    PerImageMetric,
    SemanticMetric,
)
from pandepth_mm.evaluation.table import Column, Table, format_class_table, format_table, percent

__all__ = [
    'Column',
    'DepthBreakdownMetric',
    'DepthLegacyMetric',
    'DepthMetric',
    'FormatPredictions',
    'InstanceMetric',
    'PanopticMetric',
    'PerImageMetric',
    'SemanticMetric',
    'Table',
    'format_class_table',
    'format_table',
    'percent',
]
