# The light model on the data that `make demo` renders: a few minutes of training
# by two processes on two CPU cores, enough to see every part work:
#     tools/dist_train.sh configs/pandepth_lite/pandepth_lite0_minivkitti.py 2
_base_ = [
    '../_base_/models/pandepth_lite.py',
    '../_base_/datasets/vkitti2_panoptic_depth.py',
    '../_base_/default_runtime.py',
]

# what ImageNet taught does for a few minutes, and a step takes a quarter less
model = dict(backbone=dict(frozen_stages=6, norm_eval=True))

crop_size = (128, 208)  # height, width of a training crop
max_depth = 80.0
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanopticMap'),
    dict(
        type='LoadDepthMap',
        key='gt_depth_map',
        source='dense_depth',
        invalid=65535,
        max_depth=max_depth,
    ),
    dict(type='FlipPanopticDepth', prob=0.5),
    dict(type='RandomResizePanopticDepth', ratio_range=(0.75, 1.5)),
    dict(type='RandomCropPanopticDepth', crop_size=crop_size),
    dict(type='IgnoreTinyInstances'),
    dict(type='SimulateLidar'),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackPanopticDepthInputs'),
]
# images are predicted at their own size up to this many pixels
dataset = dict(data_root='data/minivkitti/', img_scale=(832, 256))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadDepthMap', key='sparse_depth'),
    dict(type='ResizePanopticDepth', shrink_only=True, keep_measurements=True),
    dict(type='LoadPanopticMap'),
    dict(type='LoadDepthMap', key='gt_depth_map'),
    dict(type='LoadDepthMap', key='dense_depth', invalid=65535, optional=True),
    dict(type='PackPanopticDepthInputs'),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    sampler=dict(type='InfiniteSampler'),  # for a loop over iterations
    dataset=dict(dataset, pipeline=train_pipeline),
)
val_dataloader = dict(num_workers=1, dataset=dict(dataset, pipeline=test_pipeline))
test_dataloader = dict(num_workers=1, dataset=dict(dataset, pipeline=test_pipeline))

max_iters = 500
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters + 1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-3, weight_decay=0.01),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=10.0, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=max_iters, eta_min=1e-5),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=100, save_best=None),
    channels_last=dict(type='ChannelsLastHook'),
)
custom_hooks = [
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.002, gamma=200, update_buffers=True)
]
log_processor = dict(by_epoch=False, window_size=20)
auto_scale_lr = dict(enable=False, base_batch_size=4)
