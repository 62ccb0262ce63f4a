# Virtual KITTI 2, as data_converters/vkitti2.py writes it. What differs from
# one data set to another (root, classes, size, depth scale) stands in
# `dataset`; the pipelines read the size from there.
dataset = dict(
    type='pandepth_mm.VKITTI2Dataset',
    data_root='data/vkitti2/',
    source_root=None,  # where the original archives lie, if they have moved
    img_scale=(1000, 200),  # width, height of the network's input
    data_prefix=dict(seg='panoptic/'),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='pandepth_mm.LoadDepthMap', key='sparse_depth'),
    dict(type='pandepth_mm.LoadPanopticMap'),
    dict(type='pandepth_mm.LoadDepthMap', key='gt_depth_map'),
    dict(type='pandepth_mm.ResizePanopticDepth'),
    dict(type='pandepth_mm.FlipPanopticDepth', prob=0.5),
    dict(
        type='FilterAnnotations',
        by_mask=True,
        min_gt_bbox_wh=(2, 2),
        min_gt_mask_area=8,
        keep_empty=False,
    ),  # keeps the frames that have no instance left
    dict(type='pandepth_mm.PackPanopticDepthInputs'),
]
# the truth is loaded after the resize: it is compared at its own size
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='pandepth_mm.LoadDepthMap', key='sparse_depth'),
    dict(type='pandepth_mm.ResizePanopticDepth'),
    dict(type='pandepth_mm.LoadPanopticMap'),
    dict(type='pandepth_mm.LoadDepthMap', key='gt_depth_map'),
    dict(type='pandepth_mm.PackPanopticDepthInputs'),
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

# Paths and class names reach the metrics through the data set.
val_evaluator = [
    dict(
        type='pandepth_mm.PanopticMetric', depth_lambdas=(0.1, 0.25, 0.5), max_depth=80.0
    ),  # the sparse truth's, see vkitti2.py --max-depth
    dict(type='pandepth_mm.SemanticMetric'),
    dict(type='pandepth_mm.InstanceMetric'),
    dict(
        type='pandepth_mm.DepthMetric',
        breakdown=('range', 'input_distance', 'edge', 'class', 'instance'),
    ),
]
test_evaluator = val_evaluator
