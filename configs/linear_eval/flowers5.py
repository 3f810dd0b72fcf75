# Flowers, 5 kinds: photographs of 112 px.
_base_ = '../_base_/evaluation/views_48.py'
test_dataloader = dict(dataset=dict(type='ImageFolder', with_label=True, data_root='data/flowers5/val'))
test_cfg = dict(
    dataset='flowers5',
    train_dataloader=dict(dataset=dict(type='ImageFolder', with_label=True, data_root='data/flowers5/train')),
)
