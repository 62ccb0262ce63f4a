# The second part of the training of the shipped weights, by one process: larger crops, a taller
# camera, other colors. The first part, and its data: pandepth_lite0_minivkitti_first.py.
#     for s in 5 6 7 8; do
#       python data_converters/synthesize_vkitti2.py data/minivkitti_more/raw_tall$s \
#           --frames 30 --size 640x480 --seed $s --scenes Scene01 Scene06 Scene20 \
#           --variations clone morning rain
#       python data_converters/vkitti2.py data/minivkitti_more/raw_tall$s \
#           --out data/minivkitti_more/tall$s
#     done
#     python tools/train.py configs/pandepth_lite/pandepth_lite0_minivkitti_second.py
_base_ = './pandepth_lite0_minivkitti_first.py'

load_from = 'work_dirs/pandepth_lite0_minivkitti_first/iter_4500.pth'

load, resize, train_set = _base_.load, _base_.resize, _base_.train_set
sense = [
    dict(type='RandomCropPanopticDepth', crop_size=(224, 448)),
    dict(type='IgnoreTinyInstances'),
    dict(type='SimulateLidar', random_prob=0.4, lines_prob=0.4),
    dict(type='RecolorSegments', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PhotoNoise', gamma_prob=0.5, gamma=(0.5, 2.5)),
    dict(type='PackPanopticDepthInputs'),
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        ignore_keys='panoptic_ann_file',  # the roots differ
        datasets=[
            dict(
                train_set,
                data_root='data/minivkitti/',
                pipeline=[*load, dict(resize, ratio_range=(0.8, 1.75)), *sense],
            ),
            *(
                dict(
                    train_set,
                    data_root=f'data/minivkitti_more/seed{seed}/',
                    pipeline=[*load, dict(resize, ratio_range=(0.5, 1.0)), *sense],
                )
                for seed in range(1, 5)
            ),
            *(
                dict(
                    train_set,
                    data_root=f'data/minivkitti_more/tall{seed}/',
                    pipeline=[*load, dict(resize, ratio_range=(0.6, 1.3)), *sense],
                )
                for seed in range(5, 9)
            ),
        ],
    )
)
max_iters = 1400
train_cfg = dict(max_iters=max_iters, val_interval=max_iters + 1)
optim_wrapper = dict(optimizer=dict(lr=8e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=max_iters, eta_min=1e-5),
]
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=200))
log_processor = dict(window_size=10)
