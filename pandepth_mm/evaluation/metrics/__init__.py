"""Registered metrics for mmengine's evaluator."""
from .depth_metric import DepthMetric
from .instance_metric import InstanceMetric
from .panoptic_metric import PanopticMetric
from .per_image_metric import PerImageMetric
from .semantic_metric import SemanticMetric

__all__ = [
    'DepthMetric', 'InstanceMetric', 'PanopticMetric', 'PerImageMetric',
    'SemanticMetric'
]
