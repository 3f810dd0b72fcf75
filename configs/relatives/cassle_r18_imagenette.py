# CASSLE on MoCo v2 with rotation: a narrow ResNet-18 on Imagenette at 48 pixels, minutes on a CPU.
_base_ = '../moco/moco_rotation_r18_imagenette.py'
model = dict(type='CASSLE', condition=['crop', 'rotation', 'color', 'blur'])
