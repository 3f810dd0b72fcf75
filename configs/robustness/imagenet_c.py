_base_ = ['../_base_/evaluation/imagenet_c.py', '../_base_/evaluation/runtime.py']
test_cfg = dict(protocols=[dict(type='RobustnessProbe', dataset=_base_.corrupted)])
