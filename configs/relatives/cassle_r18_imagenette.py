# CASSLE on MoCo v2 with rotation: ResNet-18 on Imagenette at 48 pixels, for one machine.
_base_ = '../moco/moco_rotation_r18_imagenette.py'
model = dict(type='CASSLE')
