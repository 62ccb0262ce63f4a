"""The 3D cloud of a frame: PLY and a page."""
