# The paper's Table 1: semantic segmentation alone.
_base_ = '../pandepth_effb5_vkitti2.py'

model = dict(rpn_head=None, roi_head=None, depth_head=None, joint_head=None, panoptic_fusion=None)
val_evaluator = [dict(type='SemanticMetric')]
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='semantic/mIoU', rule='greater'))
