# CUB-200-2011.
_base_ = '../_base_/evaluation/views_224.py'
test_dataloader = dict(dataset=dict(type='CUB', data_root='data/CUB_200_2011', split='test'))
test_cfg = dict(
    dataset='cub', train_dataloader=dict(dataset=dict(type='CUB', data_root='data/CUB_200_2011', split='train'))
)
