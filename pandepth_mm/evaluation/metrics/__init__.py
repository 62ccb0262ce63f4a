"""Registered metrics for mmengine's evaluator."""

from pandepth_mm.evaluation.metrics.depth_breakdown_metric import DepthBreakdownMetric
from pandepth_mm.evaluation.metrics.depth_legacy_metric import DepthLegacyMetric
from pandepth_mm.evaluation.metrics.depth_metric import DepthMetric
from pandepth_mm.evaluation.metrics.format_predictions import FormatPredictions
from pandepth_mm.evaluation.metrics.input_density_metric import InputDensityMetric
from pandepth_mm.evaluation.metrics.instance_metric import InstanceMetric
from pandepth_mm.evaluation.metrics.panoptic_metric import PanopticMetric
from pandepth_mm.evaluation.metrics.per_image_metric import PerImageMetric
from pandepth_mm.evaluation.metrics.semantic_metric import SemanticMetric

__all__ = [
    'DepthBreakdownMetric',
    'DepthLegacyMetric',
    'DepthMetric',
    'FormatPredictions',
    'InputDensityMetric',
    'InstanceMetric',
    'PanopticMetric',
    'PerImageMetric',
    'SemanticMetric',
]
