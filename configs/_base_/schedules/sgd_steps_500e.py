# The paper: 500 epochs, lr x0.1 at 300 and 400; SGD as MoCo v2 has it, for 256 images a step.
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(type='MultiStepLR', milestones=[300, 400], gamma=0.1)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=500)
auto_scale_lr = dict(base_batch_size=256)
