# A small PanDepth for the data set that `make demo` renders: trains on two
# CPU cores. Same parts as the paper's model, fewer channels. Its depth head
# corrects the nearest measurement instead of starting from nothing.
_base_ = './pandepth_effb5_vkitti2.py'

# quicker to follow the weights than the base's momentum of 0.01
norm_cfg = dict(type='BN', eps=1e-5, momentum=0.1)
# half of the pixels instead of a quarter: learns quicker from scratch
semantic_loss = dict(fraction=0.5)
model = dict(
    backbone=dict(
        arch='b0', out_indices=(2, 3, 4, 5), drop_path_rate=0.0, norm_cfg=norm_cfg, init_cfg=None
    ),  # the demo fetches no weights
    neck=dict(in_channels=[24, 40, 112, 320], out_channels=64, norm_cfg=norm_cfg),
    semantic_head=dict(in_channels=64, channels=48, norm_cfg=norm_cfg, loss=semantic_loss),
    rpn_head=dict(in_channels=64, feat_channels=64, norm_cfg=norm_cfg),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=dict(in_channels=64, fc_out_channels=256),
        mask_roi_extractor=dict(out_channels=64),
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64, norm_cfg=norm_cfg),
    ),
    depth_head=dict(
        num_blocks=2,
        channels=12,
        sparse_channels=8,
        image_channels=12,
        residual='nearest',
        norm_cfg=norm_cfg,
    ),
    joint_head=dict(channels=16, norm_cfg=norm_cfg, loss=semantic_loss),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200), rcnn=dict(sampler=dict(num=64))
    ),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100), rcnn=dict(max_per_img=50)),
)

dataset = dict(data_root='data/minivkitti/', img_scale=(416, 128))
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    sampler=dict(type='InfiniteSampler'),  # for a loop over iterations
    dataset=dataset,
)
val_dataloader = dict(num_workers=1, dataset=dataset)
test_dataloader = dict(num_workers=1, dataset=dataset)

# a few minutes: enough to see every part work
max_iters = 250
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters + 1
)
optim_wrapper = dict(optimizer=dict(lr=2e-3), clip_grad=dict(max_norm=10.0, norm_type=2))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=max_iters, eta_min=2e-5),
]
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(by_epoch=False, interval=100, save_best=None),
    channels_last=dict(type='ChannelsLastHook'),
)
log_processor = dict(by_epoch=False, window_size=10)
