"""Depth completion heads."""

from pandepth_mm.models.depth_heads.base import BaseDepthHead
from pandepth_mm.models.depth_heads.candidate_depth_head import CandidateDepthHead
from pandepth_mm.models.depth_heads.fuse_block_depth_head import FuseBlockDepthHead

__all__ = ['BaseDepthHead', 'CandidateDepthHead', 'FuseBlockDepthHead']
