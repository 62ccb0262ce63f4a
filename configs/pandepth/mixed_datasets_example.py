# Two data sets in one training: panoptic and depth ground truth from one, depth alone from another
# (KITTI depth completion, ...). A loss is that of the samples that have its ground truth.
_base_ = './pandepth_effb5_vkitti2.py'

depth_pipeline = [  # without LoadPanopticMap and what needs instances
    dict(type='LoadImageFromFile'),
    dict(type='LoadDepthMap', key='sparse_depth'),
    dict(type='LoadDepthMap', key='gt_depth_map'),
    dict(type='ResizePanopticDepth'),
    dict(type='FlipPanopticDepth', prob=0.5),
    dict(type='PackPanopticDepthInputs'),
]
depth_dataset = dict(
    type='VKITTI2Dataset',  # the model's classes, though the files have none of them
    data_root='data/kitti_depth/',
    img_scale=(1000, 200),
    ann_file='annotations/panoptic_train.json',
    pipeline=depth_pipeline,
)
panoptic_dataset = dict(
    type='VKITTI2Dataset',
    data_root='data/vkitti2/',
    img_scale=(1000, 200),
    data_prefix=dict(seg='panoptic/'),
    ann_file='annotations/panoptic_train.json',
    pipeline=_base_.train_pipeline,
)

train_dataloader = dict(
    # of three samples, two with panoptic ground truth, whatever the sizes of the data sets
    sampler=dict(_delete_=True, type='MultiDataSampler', dataset_ratio=[2, 1]),
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[panoptic_dataset, depth_dataset]),
)
