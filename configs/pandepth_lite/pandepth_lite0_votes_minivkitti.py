# The light model with box votes instead of Mask R-CNN: no anchors, no RoIs, so that an ONNX file
# holds all of it up to the fusion. Trained as pandepth_lite0_minivkitti.py is.
_base_ = './pandepth_lite0_minivkitti.py'

model = dict(
    **dict.fromkeys(_base_.mask_rcnn),
    instance_head=dict(
        type='BoxVoteHead',
        in_channels=_base_.channels,
        norm_cfg=_base_.norm_cfg,
        act_cfg=_base_.act_cfg,
    ),
    panoptic_fusion=dict(score_thr=0.36),
)
