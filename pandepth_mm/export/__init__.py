"""Export of a model to ONNX, and the inputs of what was exported."""

import pandepth_mm.registry  # noqa: F401  (first: mmdet wants mmcv's ops)
from pandepth_mm.export.inputs import candidate_inputs, export_inputs

__all__ = ['candidate_inputs', 'export_inputs']
