_base_ = ['../_base_/evaluation/flowers102.py', '../_base_/evaluation/runtime.py']
test_cfg = dict(protocols=[dict(type='FewShotProbe')])
