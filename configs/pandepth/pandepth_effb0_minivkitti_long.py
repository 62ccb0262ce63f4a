# The demo's model, trained for longer, by two processes on two CPU cores:
#     tools/dist_train.sh configs/pandepth/pandepth_effb0_minivkitti_long.py 2
# See docs/demo_training.md (The faithful model).
_base_ = './pandepth_effb0_minivkitti.py'

# The weights that come along were trained with these anchors. To be deleted with the next training.
model = dict(rpn_head=dict(anchor_generator=dict(scales=[4])))

max_iters = 4500
train_cfg = dict(max_iters=max_iters, val_interval=max_iters + 1)
train_dataloader = dict(batch_size=3)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, end=100),
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=max_iters, eta_min=2e-5),
]
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=250))
log_processor = dict(window_size=50)
