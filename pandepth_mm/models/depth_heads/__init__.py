from .fuse_block_depth_head import FuseBlockDepthHead

__all__ = ['FuseBlockDepthHead']
