"""Data preprocessors."""

from pandepth_mm.models.data_preprocessors.pandepth_data_preprocessor import (
    PanDepthDataPreprocessor,
)

__all__ = ['PanDepthDataPreprocessor']
