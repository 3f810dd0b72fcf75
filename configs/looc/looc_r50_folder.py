# LooC, colour + rotation: ResNet-50 on a folder of your own pictures, data_root in the dataset.
_base_ = './looc_r50_in100.py'
_canvas = _base_.train_dataloader.dataset.pipeline
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    dataset=dict(_delete_=True, type='ImageFolder', data_root='data/photos', pipeline=_canvas),
)
param_scheduler = dict(_delete_=True, type='CosineAnnealingLR', convert_to_iter_based=True)
train_cfg = dict(max_epochs=200)
model = dict(neck=dict(queue_len=4096))
