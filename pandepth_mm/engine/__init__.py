"""What runs around the models: hooks, launching, checkpoints."""

import pandepth_mm.registry  # noqa: F401  (first: mmdet wants mmcv's ops)
