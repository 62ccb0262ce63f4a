"""Pictures of a frame; importing this registers the visualizer."""

from pandepth_mm.visualization.frame.visualizer import PanDepthVisualizer

__all__ = ['PanDepthVisualizer']
