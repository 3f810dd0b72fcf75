_base_ = '../linear_eval/in100.py'
test_cfg = dict(protocols=[dict(type='HeadPreference')])
