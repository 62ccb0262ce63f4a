# Another data set: its root, classes, depth scale, image size and range.
# docs/custom_dataset.md lists the files that it consists of.
_base_ = './pandepth_effb5_vkitti2.py'

dataset = dict(
    type='PanopticDepthDataset',
    data_root='data/my_dataset/',
    img_scale=(640, 192),  # width, height of the network's input
    depth_scale=1000.0,  # PNG units per meter, here millimeters
    metainfo=dict(
        thing_classes=('person', 'forklift'), stuff_classes=('floor', 'wall', 'shelf', 'ceiling')
    ),
)

train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
model = dict(num_things=2, num_stuff=4, max_depth=20.0)
