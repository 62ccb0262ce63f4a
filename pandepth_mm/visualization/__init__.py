"""Pictures of frames: panels of predictions and ground truth."""
from pandepth_mm.visualization.colors import (colour_depth, colour_panoptic,
                                              colour_semantic)
from pandepth_mm.visualization.frame_names import ambiguous_names, frame_name
from pandepth_mm.visualization.instances import draw_instances
from pandepth_mm.visualization.pandepth_visualizer import PanDepthVisualizer
from pandepth_mm.visualization.panels import ColorBar, Panel, compose_panels

__all__ = [
    'ColorBar', 'PanDepthVisualizer', 'Panel', 'ambiguous_names',
    'colour_depth', 'colour_panoptic', 'colour_semantic', 'compose_panels',
    'draw_instances', 'frame_name'
]
