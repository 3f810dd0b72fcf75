# MoCo v2's: 200 epochs, cosine, for 256 images a step; --auto-scale-lr fits the rate to another batch.
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='CosineAnnealingLR', convert_to_iter_based=True)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200)
auto_scale_lr = dict(base_batch_size=256)
