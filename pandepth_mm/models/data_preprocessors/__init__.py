from .pandepth_data_preprocessor import PanDepthDataPreprocessor

__all__ = ['PanDepthDataPreprocessor']
