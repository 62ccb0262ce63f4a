# Backbone and neck of mmdet and a decode head of mmseg, by config alone:
# ResNet-50, FPN and the semantic FPN head in place of EfficientPS's. Depth,
# joint and instance heads stay.
_base_ = './pandepth_effb5_vkitti2.py'

# ImageNet weights: a URL or a local file. init_cfg=None starts from scratch.
imagenet_weights = 'https://download.openmmlab.com/mmclassification/v0/resnet/resnet50_8xb32_in1k_20210831-ea4938fc.pth'  # noqa: E501

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdet.ResNet',
        depth=50,
        norm_eval=False,
        init_cfg=dict(type='Pretrained', prefix='backbone', checkpoint=imagenet_weights),
    ),
    neck=dict(
        _delete_=True,
        type='mmdet.FPN',
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        num_outs=4,  # strides 4, 8, 16, 32, as the anchors have
    ),
    semantic_head=dict(
        _delete_=True,
        type='MMSegHead',
        decode_head=dict(
            type='mmseg.FPNHead',
            in_channels=[256, 256, 256, 256],
            in_index=[0, 1, 2, 3],
            feature_strides=[4, 8, 16, 32],
            channels=128,
            norm_cfg=dict(type='BN'),
        ),
        # None keeps mmseg's, decode_head.loss_decode
        loss=dict(type='HardPixelCrossEntropyLoss', loss_weight=1.0),
    ),
)
