_base_ = '../linear_eval/flowers102.py'
test_cfg = dict(protocols=[dict(type='SpaceAblation', probe=dict(type='FewShotProbe'))])
