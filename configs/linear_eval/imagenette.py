# Imagenette: photographs of 112 px.
_base_ = '../_base_/evaluation/views_48.py'
test_dataloader = dict(dataset=dict(type='ImageFolder', with_label=True, data_root='data/imagenette/val'))
test_cfg = dict(
    dataset='imagenette',
    train_dataloader=dict(dataset=dict(type='ImageFolder', with_label=True, data_root='data/imagenette/train')),
)
