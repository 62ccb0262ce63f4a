# The third part of the training of the shipped weights, by one process. The backbone goes half way
# back to its ImageNet weights and stays there; more scans, of which more drops out. The part
# before, and its data: pandepth_lite0_minivkitti_second.py.
#     python tools/train.py configs/pandepth_lite/pandepth_lite0_minivkitti_third.py
_base_ = './pandepth_lite0_minivkitti_second.py'

load_from = 'work_dirs/pandepth_lite0_minivkitti_second/iter_1400.pth'
custom_hooks = [*_base_.custom_hooks, dict(type='AveragePretrainedHook')]
model = dict(backbone=dict(frozen_stages=6, norm_eval=True))

sensor = dict(type='SimulateLidar', random_prob=0.3, lines_prob=0.5, drop=(0.0, 0.6))
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                part,
                pipeline=[
                    sensor if step['type'] == 'SimulateLidar' else step for step in part['pipeline']
                ],
            )
            for part in _base_.train_dataloader.dataset.datasets
        ]
    )
)

max_iters = 1800
train_cfg = dict(max_iters=max_iters, val_interval=max_iters + 1)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=max_iters, eta_min=1e-5),
]
