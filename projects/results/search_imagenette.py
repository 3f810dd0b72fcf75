"""Imagenette's held-out tenth of the training pictures, for choosing a regime: class and the four right angles."""

_base_ = './imagenette.py'
test_dataloader = dict(dataset=dict(data_root='data/search/imagenette/val'))
test_cfg = dict(train_dataloader=dict(dataset=dict(data_root='data/search/imagenette/train')))
