default_scope = 'pandepth_mm'
custom_imports = dict(imports=['pandepth_mm'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=3, save_best='panoptic/PQ', rule='greater'
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='PanDepthVisualizationHook'),
    class_count=dict(type='CheckClassCountHook'),
    padding=dict(type='CheckPaddingHook'),
)


env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
# batch norms are synchronized over the GPUs of a distributed run
sync_bn = 'torch'
randomness = dict(seed=0)

# other backends, e.g. dict(type='TensorboardVisBackend'), go in this list
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='PanDepthVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)

log_level = 'INFO'
load_from = None
resume = False
