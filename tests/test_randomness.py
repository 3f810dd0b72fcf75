import torch
from mmengine.logging import MessageHub

from looc_mm.randomness import step_generator


def draws(*stream: int) -> torch.Tensor:
    return torch.rand(8, generator=step_generator(*stream))


def test_draws_depend_on_seed_iteration_and_stream_alone():
    hub = MessageHub.get_instance('draws')
    hub.update_info_dict(dict(seed=3, iter=10))
    first = draws(0)
    torch.manual_seed(99)
    assert torch.equal(draws(0), first), 'not on the global generator, nor on earlier draws'
    assert not torch.equal(draws(1), first), 'another rank draws other numbers'
    for other in (dict(seed=3, iter=11), dict(seed=4, iter=10)):
        hub.update_info_dict(other)
        assert not torch.equal(draws(0), first)
    MessageHub.get_instance('draws afterwards')


def test_outside_a_runner_the_global_seed_decides():
    MessageHub.get_instance('no runner')
    torch.manual_seed(0)
    first, second = draws(0), draws(0)
    torch.manual_seed(0)
    assert torch.equal(draws(0), first) and not torch.equal(first, second)
