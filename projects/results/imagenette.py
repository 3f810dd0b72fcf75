"""Linear evaluation on Imagenette, and classification of the four right angles on its pictures."""

_base_ = '../../configs/linear_eval/imagenette.py'
test_cfg = dict(protocols=[dict(type='LinearProbe'), dict(type='RotationProbe')])
