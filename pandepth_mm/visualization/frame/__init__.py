"""Pictures of a frame; importing this registers the visualizer."""

import pandepth_mm.registry  # noqa: F401  (first: mmdet wants mmcv's ops)
from pandepth_mm.visualization.frame.visualizer import PanDepthVisualizer

__all__ = ['PanDepthVisualizer']
