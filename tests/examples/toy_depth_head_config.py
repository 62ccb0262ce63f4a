# the demo's model with a depth head of your own
_base_ = '../../configs/pandepth/pandepth_effb0_minivkitti.py'
custom_imports = dict(imports=['pandepth_mm', 'toy_depth_head'], allow_failed_imports=False)
model = dict(depth_head=dict(_delete_=True, type='ToyDepthHead', feat_channels=64))
