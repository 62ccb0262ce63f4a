"""Using a trained model: one call on an image and its LiDAR points."""

import pandepth_mm.registry  # noqa: F401  (first: mmdet wants mmcv's ops)
from pandepth_mm.apis.builder import init_model
from pandepth_mm.apis.inferencer import PanDepthInferencer
from pandepth_mm.apis.result import PanDepthResult
from pandepth_mm.geometry.calibration import Calibration
from pandepth_mm.geometry.calibration_files import read_calibration

__all__ = ['Calibration', 'PanDepthInferencer', 'PanDepthResult', 'init_model', 'read_calibration']
