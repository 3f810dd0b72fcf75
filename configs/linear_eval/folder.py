# Your own labelled pictures, a folder for each class.
_base_ = '../_base_/evaluation/views_224.py'
test_dataloader = dict(dataset=dict(type='ImageFolder', with_label=True, data_root='data/labelled/val'))
test_cfg = dict(
    dataset='folder',
    train_dataloader=dict(dataset=dict(type='ImageFolder', with_label=True, data_root='data/labelled/train')),
)
