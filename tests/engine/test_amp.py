import torch


def test_autocast_runs_in_bfloat16_and_trains_float32_weights(build_runner):
    runner = build_runner(optim_wrapper__type='AutocastOptimWrapper')
    model = runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert model.dtype == torch.bfloat16
    assert model.linear.weight.dtype == torch.float32
    assert losses[-1] < 0.5 * losses[0]


def test_without_it_the_forward_pass_is_float32(build_runner):
    assert build_runner().train().dtype == torch.float32
