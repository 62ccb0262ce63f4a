"""Config: mmdet's Panoptic FPN in the light model's training, with its backbone.

As mmdet's own config has it, except for the width, that of the light model's neck; for norms in the
neck; and for the anchors and the numbers of samples and proposals, those of the faithful demo
model. Most of its heads have no norms: at the light model's learning rate they find no thing.
"""

_base_ = '../../../configs/pandepth_lite/pandepth_lite0_minivkitti.py'

width = 64
strides = [4, 8, 16, 32]
classes = dict(num_things_classes=3, num_stuff_classes=11)
assigner = dict(
    type='MaxIoUAssigner',
    pos_iou_thr=0.5,
    neg_iou_thr=0.5,
    min_pos_iou=0.5,
    match_low_quality=True,
    ignore_iof_thr=-1,
)
sampler = dict(
    type='RandomSampler', num=64, pos_fraction=0.25, neg_pos_ub=-1, add_gt_as_proposals=True
)
nms = dict(type='nms', iou_threshold=0.7)
model = dict(
    _delete_=True,
    type='PlainPanopticFPN',
    data_preprocessor={{_base_.model.data_preprocessor}},
    backbone={{_base_.model.backbone}},
    neck=dict(
        type='FPN',
        in_channels=[16, 24, 40, 112, 320],  # the map of stride 2 is not used
        start_level=1,
        out_channels=width,
        num_outs=4,
        norm_cfg={{_base_.norm_cfg}},
    ),
    rpn_head=dict(
        type='RPNHead',
        in_channels=width,
        feat_channels=width,
        anchor_generator=dict(
            type='AnchorGenerator', scales=[2, 4, 8], ratios=[0.5, 1.0, 2.0], strides=strides
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss'),
    ),
    roi_head=dict(
        type='StandardRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
            out_channels=width,
            featmap_strides=strides,
        ),
        bbox_head=dict(
            type='Shared2FCBBoxHead',
            in_channels=width,
            fc_out_channels=256,
            roi_feat_size=7,
            num_classes=3,
            bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2]),
            loss_cls=dict(type='CrossEntropyLoss'),
            loss_bbox=dict(type='L1Loss'),
        ),
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
            out_channels=width,
            featmap_strides=strides,
        ),
        mask_head=dict(
            type='FCNMaskHead',
            num_convs=4,
            in_channels=width,
            conv_out_channels=width,
            num_classes=3,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True),
        ),
    ),
    semantic_head=dict(
        type='PanopticFPNHead',
        **classes,
        in_channels=width,
        inner_channels=width,
        loss_seg=dict(type='CrossEntropyLoss', ignore_index=255, loss_weight=0.5),
    ),
    panoptic_fusion_head=dict(type='HeuristicFusionHead', **classes),
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
        rpn=dict(nms_pre=300, max_per_img=100, nms=nms, min_bbox_size=0),
        rcnn=dict(
            score_thr=0.05,
            nms=dict(type='nms', iou_threshold=0.5),
            max_per_img=50,
            mask_thr_binary=0.5,
        ),
        # 52 pixels are 1/1024 of 416 x 128
        panoptic=dict(score_thr=0.5, mask_overlap=0.5, stuff_area_limit=52),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
