"""Backbones."""

from pandepth_mm.models.backbones.efficientnet_ps import EfficientNetPS

__all__ = ['EfficientNetPS']
