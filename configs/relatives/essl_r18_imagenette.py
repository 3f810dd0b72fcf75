# E-SSL on MoCo v2, predicting rotation: ResNet-18 on Imagenette at 48 pixels, for one machine.
_base_ = '../moco/moco_r18_imagenette.py'
model = dict(type='ESSL')
