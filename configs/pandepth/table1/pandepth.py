# The paper's Table 1: every branch, that is the full model.
_base_ = '../pandepth_effb5_vkitti2.py'

default_hooks = dict(checkpoint=dict(save_best='panoptic/PQ', rule='greater'))
