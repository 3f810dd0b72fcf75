# Flowers-102: 10 training images of each class.
_base_ = '../_base_/evaluation/views_224.py'
test_dataloader = dict(dataset=dict(type='Flowers102', data_root='data/flowers102', split='test'))
test_cfg = dict(
    dataset='flowers102',
    train_dataloader=dict(dataset=dict(type='Flowers102', data_root='data/flowers102', split='train')),
)
