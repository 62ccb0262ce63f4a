# The same in less memory, for more time: docs/speed.md has both. On several GPUs, whose norms are
# synchronized, the hook changes nothing; model.joint_head.with_cp saves memory there.
_base_ = './pandepth_effb5_vkitti2.py'

model = dict(backbone=dict(with_cp=True), depth_head=dict(with_cp=True))
custom_hooks = [dict(type='InPlaceABNHook')]
