"""Procedural road scenes in the layout of Virtual KITTI 2.

World frame of these modules: x east, y north, z up, meters. Files carry Virtual KITTI's convention
instead (y down), see ``camera.WORLD_TO_FILE``.
"""
