from .efficientnet_ps import EfficientNetPS

__all__ = ['EfficientNetPS']
