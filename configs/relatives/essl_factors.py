# E-SSL on MoCo v2, predicting rotation: a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = '../moco/moco_factors.py'
model = dict(type='ESSL')
