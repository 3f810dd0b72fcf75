_base_ = '../linear_eval/folder.py'
test_cfg = dict(protocols=[dict(type='Retrieval')])
