_base_ = '../linear_eval/inat2019.py'
test_cfg = dict(protocols=[dict(type='SpaceAblation')])
