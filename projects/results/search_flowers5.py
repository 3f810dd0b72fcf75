"""The held-out tenth of the training pictures of flowers5, for choosing a regime."""

_base_ = '../../configs/linear_eval/flowers5.py'
test_dataloader = dict(dataset=dict(data_root='data/search/flowers5/val'))
test_cfg = dict(train_dataloader=dict(dataset=dict(data_root='data/search/flowers5/train')))
