# E-SSL on MoCo v2, predicting rotation: a narrow ResNet-18 on Imagenette at 48 pixels, minutes on a CPU.
_base_ = '../moco/moco_r18_imagenette.py'
model = dict(type='ESSL', small_scale=(0.2, 1.0))  # a twentieth of these pictures has too few pixels
