"""Convert images of class and instance ids: ``pandepth-convert semantic_instance ...``."""

from pandepth_mm.converters.semantic_instance.converter import SemanticInstanceConverter, main

__all__ = ['SemanticInstanceConverter', 'main']
