# The same for models that are trained on 64 px views, at 1.5 times their size.
_base_ = './views_224.py'
_load, _resize, _crop, _pack = _base_.test_dataloader.dataset.pipeline
_dataset = dict(pipeline=[_load, dict(_resize, scale=110), dict(_crop, crop_size=96), _pack])
test_dataloader = dict(dataset=_dataset)
test_cfg = dict(train_dataloader=dict(dataset=_dataset))
