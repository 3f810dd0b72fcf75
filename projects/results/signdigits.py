"""Linear evaluation on the sign digits, and classification of the four right angles on its pictures."""

_base_ = '../../configs/_base_/evaluation/views_48.py'
test_dataloader = dict(dataset=dict(type='ImageFolder', with_label=True, data_root='data/signdigits/val'))
test_cfg = dict(
    dataset='signdigits',
    train_dataloader=dict(dataset=dict(type='ImageFolder', with_label=True, data_root='data/signdigits/train')),
    protocols=[dict(type='LinearProbe'), dict(type='RotationProbe')],
)
