"""Helpers of the command line tools.

The modules ``checkpoint`` and ``launch`` import torch and are not imported
here, so that the converters start quickly.
"""
from pandepth_mm.utils.cli import cli_main
from pandepth_mm.utils.registration import (register_all_modules,
                                            set_default_scope)

__all__ = ['cli_main', 'register_all_modules', 'set_default_scope']
