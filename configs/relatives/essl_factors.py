# E-SSL on MoCo v2, predicting rotation: a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = '../moco/moco_factors.py'
model = dict(type='ESSL', small_scale=(0.2, 1.0))  # a twentieth of these pictures has too few pixels
