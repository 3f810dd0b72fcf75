import pytest


@pytest.mark.parametrize('poison', [float('nan'), float('inf')])
def test_non_finite_loss_stops_the_run(build_runner, poison):
    runner = build_runner(model__poison=poison)
    with pytest.raises(FloatingPointError) as error:
        runner.train()
    message = str(error.value)
    assert runner.iter == 2
    for part in ('iteration 3:', f'loss={poison}', f'loss_extra={poison}', 'lower learning rate', runner.work_dir):
        assert part in message


def test_progress_bar_counts_every_iteration_and_shows_the_loss(build_runner, capsys):
    options = dict(custom_hooks=[dict(type='PlainCheckpoint'), dict(type='ProgressBar', disable=False)])
    runner = build_runner(**options, train_cfg__max_epochs=2)
    runner.train()
    loss = runner.message_hub.get_scalar('train/loss').current()
    shown = capsys.readouterr().err
    assert '8/8' in shown
    assert f'loss={loss:.4f}' in shown

    resumed = build_runner(**options, resume=True)
    resumed.train()
    shown = capsys.readouterr().err
    assert '8/12' in shown
    assert '12/12' in shown


def test_progress_bar_works_with_an_iteration_loop(build_runner, capsys):
    build_runner(
        custom_hooks=[dict(type='PlainCheckpoint'), dict(type='ProgressBar', disable=False)],
        train_cfg=dict(_delete_=True, by_epoch=False, max_iters=5),
        train_dataloader__sampler__type='InfiniteSampler',
        param_scheduler=[],
        default_hooks__checkpoint__by_epoch=False,
    ).train()
    assert '5/5' in capsys.readouterr().err


def test_progress_bar_is_for_terminals(build_runner, capsys):
    build_runner().train()
    assert '12/12' not in capsys.readouterr().err
