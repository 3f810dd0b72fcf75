# Your own labelled pictures, a folder for each class, for looc_r18_folder and moco_r18_folder.
_base_ = '../_base_/evaluation/views_96.py'
test_dataloader = dict(dataset=dict(type='ImageFolder', with_label=True, data_root='data/labelled/val'))
test_cfg = dict(
    dataset='folder',
    train_dataloader=dict(dataset=dict(type='ImageFolder', with_label=True, data_root='data/labelled/train')),
)
