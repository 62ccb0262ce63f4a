# PanDepth as in the paper: EfficientNet-B5, 200 x 1000, 50 epochs of Adam.
_base_ = [
    '../_base_/models/pandepth_effb5.py',
    '../_base_/datasets/vkitti2_panoptic_depth.py',
    '../_base_/schedules/adam_50e.py',
    '../_base_/default_runtime.py',
]
