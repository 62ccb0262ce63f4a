"""Registered metrics for mmengine's evaluator."""
from .depth_metric import DepthMetric
from .format_predictions import FormatPredictions
from .input_density_metric import InputDensityMetric
from .instance_metric import InstanceMetric
from .panoptic_metric import PanopticMetric
from .per_image_metric import PerImageMetric
from .semantic_metric import SemanticMetric

__all__ = [
    'DepthMetric', 'FormatPredictions', 'InputDensityMetric', 'InstanceMetric',
    'PanopticMetric', 'PerImageMetric', 'SemanticMetric'
]
