"""Geometry of cameras and LiDARs: numpy only, without torch and mmcv."""
