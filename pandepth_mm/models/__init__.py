"""The models; importing this registers their parts."""

import pandepth_mm.registry  # noqa: F401  (first: mmdet wants mmcv's ops)
from pandepth_mm.models.backbones import *  # noqa: F401,F403
from pandepth_mm.models.data_preprocessors import *  # noqa: F401,F403
from pandepth_mm.models.depth_heads import *  # noqa: F401,F403
from pandepth_mm.models.detectors import *  # noqa: F401,F403
from pandepth_mm.models.fusion_heads import *  # noqa: F401,F403
from pandepth_mm.models.instance_heads import *  # noqa: F401,F403
from pandepth_mm.models.losses import *  # noqa: F401,F403
from pandepth_mm.models.necks import *  # noqa: F401,F403
from pandepth_mm.models.semantic_heads import *  # noqa: F401,F403
