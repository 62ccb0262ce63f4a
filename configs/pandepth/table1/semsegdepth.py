# The paper's Table 1: semantic segmentation and depth completion together,
# without instances.
_base_ = '../pandepth_effb5_vkitti2.py'

model = dict(rpn_head=None, roi_head=None, panoptic_fusion=None)
val_evaluator = [
    dict(type='SemanticMetric'),
    dict(type='DepthMetric'),
    dict(type='DepthBreakdownMetric'),
]
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='semantic/mIoU', rule='greater'))
