_base_ = '../linear_eval/flowers5.py'
test_cfg = dict(protocols=[dict(type='SpaceAblation')])
