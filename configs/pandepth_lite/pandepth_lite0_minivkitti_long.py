# The shipped weights: the fourth and last part of their training, by one process. Mask R-CNN takes
# the place of the box votes; all but the backbone go on learning. The part before:
# pandepth_lite0_minivkitti_third.py.
#     python tools/train.py configs/pandepth_lite/pandepth_lite0_minivkitti_long.py
_base_ = './pandepth_lite0_minivkitti_third.py'

load_from = 'work_dirs/pandepth_lite0_minivkitti_third/iter_1800.pth'
custom_hooks = _base_.custom_hooks[:-1]  # the backbone has its average already
# _delete_: they were None
mask_rcnn = {key: dict(value, _delete_=True) for key, value in _base_.mask_rcnn.items()}
model = dict(instance_head=None, **mask_rcnn, panoptic_fusion=dict(score_thr=0.5))

max_iters = 1600
train_cfg = dict(max_iters=max_iters, val_interval=max_iters + 1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=max_iters, eta_min=1e-5),
]
