# The paper's schedule (section 4.1): 50 epochs, Adam, 2e-4, four GPUs. The
# learning rate stays constant, since the paper states neither a warm-up nor
# a decay; warmup_cosine_50e.py beside this file has both.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-4))
# 4 GPUs x 2 images; --auto-scale-lr scales the rate for another batch
auto_scale_lr = dict(enable=False, base_batch_size=8)
