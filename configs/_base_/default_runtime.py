default_scope = 'looc_mm'

default_hooks = dict(
    runtime_info=dict(type='DeferredRuntimeInfo'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SafeCheckpointHook', interval=10, max_keep_ckpts=3, save_last=True),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # ours: a run's own custom_hooks come on top of them
    progress=dict(type='ProgressBar'),
    stop=dict(type='StopOnNonFiniteLoss'),
    plain_checkpoint=dict(type='PlainCheckpoint'),
    prefetch=dict(type='PrefetchBatches'),
    broken=dict(type='BrokenPictures'),
    watch=dict(type='WatchSpaces'),
    log=dict(type='TrainingLog'),
)

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)

log_level = 'INFO'
log_processor = dict(window_size=50)
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])

load_from = None
resume = False
