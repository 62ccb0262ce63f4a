"""Geometry of cameras and LiDARs: numpy and OpenCV only, without torch and mmcv."""
