# The depth of the light model, adapted to a LiDAR and a camera by 30 frames of a drive.
# docs/finetune.md says how to make the data, and what to change for other frames.
_base_ = './pandepth_lite0_minivkitti.py'

load_from = 'pandepth_lite0_minivkitti_long'  # a shipped model's name, or a file
model = dict(
    # the panoptic branches stay as they are: nothing here could train them
    type='PartlyFrozenPanDepth',
    frozen=('backbone', 'neck', 'semantic_head', 'instance_neck', 'rpn_head', 'roi_head'),
    backbone=dict(init_cfg=None),  # its weights are in load_from
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadDepthMap', key='sparse_depth'),
    dict(type='LoadDepthMap', key='gt_depth_map'),
    dict(type='FlipPanopticDepth', prob=0.5),
    dict(type='RandomResizePanopticDepth', ratio_range=(0.8, 1.25), depth_resize='rasterize'),
    dict(type='RandomCropPanopticDepth', crop_size=(256, 416)),
    # the measurements stay those of the real sensor, as wrong as they are at edges; some drop out
    dict(
        type='SimulateLidar',
        source='sparse_depth',
        random_prob=1.0,
        lines_prob=0.0,
        density=(0.01, 0.08),  # of the pixels; a scan has 0.04
        noise=(0.0, 0.0),
        relative_noise=(0.0, 0.0),
    ),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackPanopticDepthInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadDepthMap', key='sparse_depth'),
    dict(
        type='ResizePanopticDepth',
        shrink_only=True,
        depth_resize='rasterize',
        keep_measurements=True,
    ),
    dict(type='LoadDepthMap', key='gt_depth_map'),
    dict(type='PackPanopticDepthInputs'),
]
dataset = dict(data_root='data/kitti_raw/', img_scale=(1280, 384))  # KITTI's own size: no resize
train_dataloader = dict(batch_size=4, dataset=dict(dataset, pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(dataset, pipeline=test_pipeline))
test_evaluator = [
    dict(type='DepthMetric'),
    dict(type='DepthBreakdownMetric', parts=('range', 'input_distance')),
]
# so few frames are all needed for training and testing
val_dataloader = val_cfg = val_evaluator = None

max_iters = 200
train_cfg = dict(max_iters=max_iters, val_interval=max_iters + 1)
optim_wrapper = dict(optimizer=dict(lr=5e-4))  # a quarter of that of the shipped weights
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=20),
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=max_iters, eta_min=1e-5),
]
default_hooks = dict(checkpoint=dict(interval=100))
