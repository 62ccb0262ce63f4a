"""PanDepth for OpenMMLab: panoptic segmentation with depth completion.

Importing the package imports nothing heavy; ``PanDepthInferencer`` is loaded when it is asked for.
"""

from typing import Any

from pandepth_mm.version import __version__

__all__ = ['PanDepthInferencer', '__version__']


def __getattr__(name: str) -> Any:
    """Load the inferencer, and with it torch and mmcv, at its first use."""
    if name == 'PanDepthInferencer':
        import pandepth_mm.registry  # noqa: F401  (checks the stack first)
        from pandepth_mm.apis.inferencer import PanDepthInferencer

        return PanDepthInferencer
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
