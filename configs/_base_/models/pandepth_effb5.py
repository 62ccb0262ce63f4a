# The model of the paper (section 3): EfficientNet-B5 without squeeze-excite,
# two-way FPN, semantic, instance, depth and joint heads, panoptic fusion.
# Class counts and depth range stand in `model` alone; the detector hands
# them to its heads.
norm_cfg = dict(type='BN', eps=1e-3, momentum=0.01)
act_cfg = dict(type='LeakyReLU', negative_slope=0.01)
# ImageNet weights: a URL or a local file. init_cfg=None starts from scratch.
imagenet_weights = 'https://mmassets.onedl.ai/mmclassification/v0/efficientnet/efficientnet-b5_3rdparty_8xb32-aa_in1k_20220119-2cab8b78.pth'  # noqa: E501

# The paper states no weight and no unit of depth. The authors' code measures depth in units of
# 2.55 m and divides the sum over the measured pixels (17.1 % of a frame) by all pixels. For the
# mean over the measured pixels in square meters, that is a weight of 0.171 / 2.55^2.
authors_depth_weight = 0.026

roi_layer = dict(type='RoIAlign', output_size=7, sampling_ratio=0)
model = dict(
    type='PanDepth',
    num_things=3,
    num_stuff=11,
    max_depth=80.0,
    data_preprocessor=dict(
        type='PanDepthDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=1,
    ),
    backbone=dict(
        type='EfficientNetPS',
        arch='b5',
        out_indices=(2, 3, 4, 6),
        drop_path_rate=0.2,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
        init_cfg=dict(type='Pretrained', prefix='backbone', checkpoint=imagenet_weights),
    ),
    neck=dict(
        type='TwoWayFPN',
        in_channels=[40, 64, 176, 2048],
        out_channels=256,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    ),
    semantic_head=dict(
        type='EfficientPSSemanticHead',
        in_channels=256,
        channels=128,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
        loss=dict(type='HardPixelCrossEntropyLoss', loss_weight=1.0),
    ),
    rpn_head=dict(
        type='SeparableRPNHead',
        in_channels=256,
        feat_channels=256,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
        # 8 px and up: with scales=[8], so 32 px and up, 20 of 24 things of a frame get no anchor
        anchor_generator=dict(
            type='AnchorGenerator', scales=[2, 4, 8], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32]
        ),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder',
            target_means=[0.0, 0.0, 0.0, 0.0],
            target_stds=[1.0, 1.0, 1.0, 1.0],
        ),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0),
    ),
    roi_head=dict(
        type='StandardRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=roi_layer,
            out_channels=256,
            featmap_strides=[4, 8, 16, 32],
        ),
        bbox_head=dict(
            type='Shared2FCBBoxHead',
            in_channels=256,
            fc_out_channels=1024,
            roi_feat_size=7,
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder',
                target_means=[0.0, 0.0, 0.0, 0.0],
                target_stds=[0.1, 0.1, 0.2, 0.2],
            ),
            reg_class_agnostic=False,
            loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type='L1Loss', loss_weight=1.0),
        ),
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
            out_channels=256,
            featmap_strides=[4, 8, 16, 32],
        ),
        mask_head=dict(
            type='SeparableFCNMaskHead',
            num_convs=4,
            in_channels=256,
            conv_out_channels=256,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0),
        ),
    ),
    depth_head=dict(
        type='FuseBlockDepthHead',
        semantics='logits',  # or 'softmax', 'detach', None
        num_blocks=12,
        channels=64,
        k=3,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
        loss=dict(type='MaskedMSELoss', loss_weight=authors_depth_weight),
    ),
    joint_head=dict(
        type='JointHead',
        channels=256,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
        loss=dict(type='HardPixelCrossEntropyLoss', loss_weight=1.0),
    ),
    fusion_logits='refined',  # or 'preliminary'
    panoptic_fusion=dict(
        type='PanopticFusion',
        score_thr=0.5,
        overlap_thr=0.5,
        stuff_area_limit=1 / 1024,  # share of the image: EfficientPS's 2048 px of 1024 x 2048
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='IgnoringAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
                match_low_quality=True,
                ignore_iof_thr=0.5,
                min_ignored_side=8,
            ),
            sampler=dict(
                type='RandomSampler',
                num=256,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        rpn_proposal=dict(
            nms_pre=2000, max_per_img=1000, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0
        ),
        rcnn=dict(
            assigner=dict(
                type='IgnoringAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=True,
                ignore_iof_thr=0.5,
                min_ignored_side=8,
            ),
            sampler=dict(
                type='RandomSampler',
                num=512,
                pos_fraction=0.25,
                neg_pos_ub=-1,
                add_gt_as_proposals=True,
            ),
            mask_size=28,
            pos_weight=-1,
            debug=False,
        ),
    ),
    test_cfg=dict(
        rpn=dict(
            nms_pre=1000, max_per_img=1000, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0
        ),
        # low, for AP; the fusion has its own score threshold
        rcnn=dict(
            score_thr=0.05,
            nms=dict(type='nms', iou_threshold=0.5),
            max_per_img=100,
            mask_thr_binary=0.5,
        ),
    ),
)
