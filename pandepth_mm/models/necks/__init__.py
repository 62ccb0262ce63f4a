from .two_way_fpn import TwoWayFPN

__all__ = ['TwoWayFPN']
