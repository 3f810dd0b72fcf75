_base_ = '../linear_eval/imagenette.py'
test_cfg = dict(protocols=[dict(type='InvarianceMatrix')])
