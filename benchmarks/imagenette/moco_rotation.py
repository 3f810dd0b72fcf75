# MoCo v2 + rotation.
_base_ = 'looc.py'
model = dict(data_preprocessor=dict(pipeline=dict(leave_one_out=[])))
