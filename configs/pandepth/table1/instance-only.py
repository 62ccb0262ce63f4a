# The paper's Table 1: instance segmentation alone.
_base_ = '../pandepth_effb5_vkitti2.py'

model = dict(semantic_head=None, depth_head=None, joint_head=None, panoptic_fusion=None)
val_evaluator = [dict(type='InstanceMetric')]
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='instance/bbox_mAP', rule='greater'))
