"""What hooks into mmengine's Runner."""
from pandepth_mm.engine.hooks import *  # noqa: F401,F403
from pandepth_mm.engine.hooks import __all__  # noqa: F401
