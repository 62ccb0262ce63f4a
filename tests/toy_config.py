custom_imports = dict(imports=['tool_toy'], allow_failed_imports=False)
default_scope = 'pandepth_mm'
loader = dict(batch_size=2, num_workers=0)
model = dict(type='ToyModel')
train_dataloader = dict(
    **loader, dataset=dict(type='ToyDataset'), sampler=dict(type='DefaultSampler', shuffle=True)
)
val_dataloader = dict(
    **loader,
    dataset=dict(type='ToyDataset', length=5),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ToyMetric')
test_evaluator = val_evaluator
max_epochs = 2
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=0.01), clip_grad=dict(max_norm=10)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=3),
    dict(type='MultiStepLR', milestones=[1], by_epoch=True),
]
default_hooks = dict(
    checkpoint=dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=2, save_best='toy/frames', rule='greater'
    ),
    logger=dict(type='LoggerHook', interval=1),
    class_count=dict(type='CheckClassCountHook'),
)
custom_hooks = [dict(type='EMAHook')]
randomness = dict(seed=0)
log_level = 'INFO'
