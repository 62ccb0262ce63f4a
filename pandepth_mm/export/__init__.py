"""Export of the dense path to ONNX, and the inputs of what was exported."""
from .inputs import export_inputs

__all__ = ['export_inputs']
