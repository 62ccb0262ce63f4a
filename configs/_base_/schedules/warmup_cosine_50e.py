# A learning rate that rises linearly over 1000 iterations (most of an epoch
# of Virtual KITTI 2 at a batch of 8), times half a cosine over the epochs.
# For other epochs than 50, set T_max to their number.
# Not the paper's: give it as a second base, see
# configs/pandepth/pandepth_effb5_vkitti2_warmup-cosine.py.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, end=1000),
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=50, eta_min=0.0),
]
