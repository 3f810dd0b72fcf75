default_scope = 'looc_mm'
env_cfg = dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='nccl'))
log_level = 'WARNING'  # the scores are printed, they are not log lines
test_evaluator = []  # MMEngine asks for one; the protocols score themselves
