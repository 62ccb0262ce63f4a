# The paper's Table 1: depth completion alone, from the sparse depth and the
# image, without a backbone and without semantics, as the authors have it.
_base_ = '../pandepth_effb5_vkitti2.py'

model = dict(
    backbone=None,
    neck=None,
    semantic_head=None,
    rpn_head=None,
    roi_head=None,
    joint_head=None,
    panoptic_fusion=None,
)
val_evaluator = [dict(type='DepthMetric'), dict(type='DepthBreakdownMetric')]
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='depth/rmse', rule='less'))
