"""Export of the dense path to ONNX, and the inputs of what was exported."""

from pandepth_mm.export.inputs import export_inputs

__all__ = ['export_inputs']
