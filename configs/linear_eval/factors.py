_base_ = '../_base_/evaluation/runtime.py'

_pipeline = [dict(type='LoadCanvas', size=48), dict(type='PackCanvas', label_keys=('shape', 'color', 'texture'))]
_dataset = dict(type='Factors', length=2048, seed=1, pipeline=_pipeline)
_loader = dict(
    batch_size=256,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
)

test_dataloader = dict(**_loader, dataset=dict(**_dataset, split='test'))
test_cfg = dict(
    type='FrozenFeatureLoop',
    dataset='factors',
    train_dataloader=dict(**_loader, dataset=dict(**_dataset, split='train')),
    protocols=[
        dict(type='LinearProbe', label='shape'),
        dict(type='LinearProbe', label='color'),
        dict(type='LinearProbe', label='texture'),
        dict(type='RotationProbe'),
    ],
)
