# CASSLE on MoCo v2 with rotation: ResNet-50 on IN-100, the paper's settings on 8 processes of 32 images.
_base_ = '../moco/moco_rotation_r50_in100.py'
model = dict(type='CASSLE', condition=['crop', 'rotation', 'color', 'blur'])
