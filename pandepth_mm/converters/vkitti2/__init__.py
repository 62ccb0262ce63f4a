"""The parts of the Virtual KITTI 2 converter (see ../vkitti2.py)."""
