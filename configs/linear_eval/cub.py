_base_ = ['../_base_/evaluation/cub.py', '../_base_/evaluation/runtime.py']
test_cfg = dict(protocols=[dict(type='LinearProbe')])
