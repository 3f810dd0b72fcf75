# LooC's all-invariant control: its heads and views, no space leaves an augmentation out.
_base_ = 'looc.py'
model = dict(
    data_preprocessor=dict(pipeline=dict(strategy='independent')),
    head=dict(same_image_negatives=False),
)
