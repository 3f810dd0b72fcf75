# SimCLR with rotation: a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = './looc_simclr_factors.py'
model = dict(data_preprocessor=dict(pipeline=dict(leave_one_out=[])))
