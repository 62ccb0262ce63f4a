"""Metrics, the pure functions below them, and their table."""
from .metrics import (
                      DepthMetric,
                      FormatPredictions,
                      InstanceMetric,
                      PanopticMetric,
                      SemanticMetric,
)
from .table import format_class_table, format_table

__all__ = [
    'DepthMetric', 'FormatPredictions', 'InstanceMetric', 'PanopticMetric',
    'SemanticMetric', 'format_class_table', 'format_table'
]
