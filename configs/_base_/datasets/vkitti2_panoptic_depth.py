# Virtual KITTI 2, as data_converters/vkitti2.py writes it. What differs from
# one data set to another (root, classes, size, depth scale) stands in
# `dataset`; the pipelines read the size from there.
dataset = dict(
    type='VKITTI2Dataset',
    data_root='data/vkitti2/',
    source_root=None,  # where the original archives lie, if they have moved
    img_scale=(1000, 200),  # width, height of the network's input
    data_prefix=dict(seg='panoptic/'),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadDepthMap', key='sparse_depth'),
    dict(type='LoadPanopticMap'),
    dict(type='LoadDepthMap', key='gt_depth_map'),
    dict(type='ResizePanopticDepth'),
    dict(type='FlipPanopticDepth', prob=0.5),
    dict(type='IgnoreTinyInstances', min_side=2, min_area=8),  # neither trained nor background
    dict(type='PackPanopticDepthInputs'),
]
# The ground truth is loaded after the resize: it is compared at its own size.
# Dense depth, where the records name it, serves DPQ and the errors at edges.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadDepthMap', key='sparse_depth'),
    dict(type='ResizePanopticDepth'),
    dict(type='LoadPanopticMap'),
    dict(type='LoadDepthMap', key='gt_depth_map'),
    dict(type='LoadDepthMap', key='dense_depth', invalid=65535, optional=True),
    dict(type='PackPanopticDepthInputs'),
]

train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**dataset, ann_file='annotations/panoptic_train.json', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset, ann_file='annotations/panoptic_val.json', test_mode=True, pipeline=test_pipeline
    ),
)
test_dataloader = dict(
    val_dataloader,
    dataset=dict(val_dataloader['dataset'], ann_file='annotations/panoptic_test.json'),
)

# Paths and class names reach the metrics through the data set, the depth range through the model.
val_evaluator = [
    dict(type='PanopticMetric', depth_lambdas=(0.1, 0.25, 0.5)),
    dict(type='SemanticMetric'),
    dict(type='InstanceMetric'),
    dict(type='DepthMetric'),
    dict(type='DepthBreakdownMetric'),
]
test_evaluator = val_evaluator
