# The first part of the training of the shipped weights, with box votes: more rendered scenes, by
# two processes on two CPU cores:
#     for s in 1 2 3 4 5 6 7 8; do
#       python data_converters/synthesize_vkitti2.py data/minivkitti_more/raw$s \
#           --frames 30 --size 832x256 --seed $s --scenes Scene01 Scene06 Scene20 \
#           --variations clone morning rain
#       python data_converters/vkitti2.py data/minivkitti_more/raw$s \
#           --out data/minivkitti_more/seed$s
#     done
#     tools/dist_train.sh configs/pandepth_lite/pandepth_lite0_minivkitti_first.py 2
_base_ = './pandepth_lite0_votes_minivkitti.py'

model = dict(backbone=dict(frozen_stages=0, norm_eval=False))

load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanopticMap'),
    dict(
        type='LoadDepthMap', key='gt_depth_map', source='dense_depth', invalid=65535, max_depth=80.0
    ),
    dict(type='FlipPanopticDepth', prob=0.5),
]
sense = [
    dict(type='RandomCropPanopticDepth', crop_size=(128, 416)),
    dict(type='IgnoreTinyInstances'),
    dict(type='SimulateLidar', random_prob=0.4, lines_prob=0.4),
    dict(type='PhotoMetricDistortion'),
    dict(type='PhotoNoise'),
    dict(type='PackPanopticDepthInputs'),
]
resize = dict(type='RandomResizePanopticDepth', aspect_range=(0.85, 1.18))
train_set = dict(
    type='VKITTI2Dataset',
    data_prefix=dict(seg='panoptic/'),
    ann_file='annotations/panoptic_train.json',
)
# scales of 416x128: 0.8 to 1.4 of the demo's frames, 0.9 to 2 of those of 832x256
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        ignore_keys='panoptic_ann_file',  # the roots differ
        datasets=[
            dict(
                train_set,
                data_root='data/minivkitti/',
                pipeline=[*load, dict(resize, ratio_range=(0.8, 1.4)), *sense],
            ),
            *(
                dict(
                    train_set,
                    data_root=f'data/minivkitti_more/seed{seed}/',
                    pipeline=[*load, dict(resize, ratio_range=(0.45, 1.0)), *sense],
                )
                for seed in range(1, 9)
            ),
        ],
    ),
)

max_iters = 4500
train_cfg = dict(max_iters=max_iters, val_interval=max_iters + 1)
optim_wrapper = dict(
    optimizer=dict(lr=2e-3), paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.2)))
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=150),
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=max_iters, eta_min=1e-5),
]
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=250))
log_processor = dict(window_size=50)
auto_scale_lr = dict(base_batch_size=8)
