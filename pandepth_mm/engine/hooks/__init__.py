"""Hooks."""

from pandepth_mm.engine.hooks.average_pretrained_hook import AveragePretrainedHook
from pandepth_mm.engine.hooks.channels_last_hook import ChannelsLastHook
from pandepth_mm.engine.hooks.check_class_count_hook import CheckClassCountHook
from pandepth_mm.engine.hooks.check_padding_hook import CheckPaddingHook
from pandepth_mm.engine.hooks.check_weights_hook import CheckWeightsHook
from pandepth_mm.engine.hooks.inplace_abn_hook import InPlaceABNHook
from pandepth_mm.engine.hooks.optimize_hook import OptimizeHook
from pandepth_mm.engine.hooks.precision_hook import PrecisionHook
from pandepth_mm.engine.hooks.start_weights_hook import StartWeightsHook
from pandepth_mm.engine.hooks.visualization_hook import PanDepthVisualizationHook

__all__ = [
    'AveragePretrainedHook',
    'ChannelsLastHook',
    'CheckClassCountHook',
    'CheckPaddingHook',
    'CheckWeightsHook',
    'InPlaceABNHook',
    'OptimizeHook',
    'PanDepthVisualizationHook',
    'PrecisionHook',
    'StartWeightsHook',
]
