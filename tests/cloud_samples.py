"""A frame whose cloud is known by heart."""

import numpy as np

from pandepth_mm.structures.panoptic_cloud import panoptic_cloud

CLASSES = ('Road', 'Car')
PALETTE = ((255, 255, 0), (0, 255, 0))
CAM2IMG = np.array([[100.0, 0, 79.5], [0, 100, 29.5], [0, 0, 1]])
RED, BLUE = (255, 0, 0), (0, 0, 255)
RED_DEPTH, BLUE_DEPTH = 5.0, 8.0


def make_frame():
    """Car number 3, red, at the left, road, blue, at the right, void between.

    Returns:
        depth, image and panoptic map of 60 x 160 pixels; no depth around.
    """
    depth = np.zeros((60, 160), dtype=np.float32)
    image = np.full((60, 160, 3), 128, dtype=np.uint8)
    panoptic = np.full((60, 160), len(CLASSES))
    for left, z, color, label in ((10, RED_DEPTH, RED, 3001), (100, BLUE_DEPTH, BLUE, 0)):
        block = np.s_[10:50, left : left + 50]
        depth[block], image[block], panoptic[block] = z, color, label
    depth[30, 78:82] = 6.0
    return depth, image, panoptic


def make_cloud():
    """The cloud of `make_frame`: 2000 + 2000 points, and 4 of void."""
    depth, image, panoptic = make_frame()
    return panoptic_cloud(depth, CAM2IMG, image, panoptic, len(CLASSES))
