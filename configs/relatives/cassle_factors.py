# CASSLE on MoCo v2 with rotation: a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = '../moco/moco_rotation_factors.py'
model = dict(type='CASSLE', condition=['crop', 'rotation', 'color', 'blur'])
