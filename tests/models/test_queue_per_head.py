import pytest
import torch
import torch.nn.functional as F

from looc_mm.models import HeadPerSpaceNeck, QueuePerHeadNeck
from looc_mm.models.queue_per_head import KeyQueue

SPACES = ('invariant', 'rotation', 'color')


def neck(spaces=SPACES, queue_len=6) -> QueuePerHeadNeck:
    torch.manual_seed(0)
    return QueuePerHeadNeck(in_channels=5, hid_channels=8, out_channels=3, queue_len=queue_len, spaces=spaces)


def test_queue_is_first_in_first_out_and_wraps_around():
    queue = KeyQueue(width=3, length=6)
    batches = [torch.randn(2, 3) for _ in range(5)]
    for batch in batches:
        queue.enqueue(batch)
    # Five batches of two in six places: the fourth and the fifth took the first two batches' places.
    expected = torch.cat([batches[3], batches[4], batches[2]]).t()
    assert torch.equal(queue.keys, expected)
    assert (int(queue.place), int(queue.stored)) == (4, 10)


def test_batches_of_another_size_after_resuming_wrap_around_too():
    queue = KeyQueue(width=3, length=6)
    first, second = torch.randn(1, 3), torch.randn(6, 3)
    queue.enqueue(first)
    queue.enqueue(second)
    assert torch.equal(queue.keys, torch.cat([second[5:], second[:5]]).t())
    assert int(queue.place) == 1


def test_each_space_stores_its_own_keys_in_order():
    module = neck()
    keys = F.normalize(torch.randn(3, 2, 3), dim=-1)
    before = module.queue()
    module.enqueue(keys)
    after = module.queue()
    for i in range(3):
        assert torch.equal(after[i, :, :2], keys[i].t())
        assert torch.equal(after[i, :, 2:], before[i, :, 2:])
    assert not torch.equal(before, after), 'what was handed out stays as it was'


def test_fresh_queues_hold_unit_vectors():
    assert torch.allclose(neck().queue().norm(dim=1), torch.ones(3, 6), atol=1e-5)


def test_which_columns_hold_keys():
    module = neck()
    for stored in (0, 2, 4, 6, 8):
        assert module.filled().tolist() == [column < stored for column in range(6)]
        module.enqueue(F.normalize(torch.randn(3, 2, 3), dim=-1))
    again, state = neck(), module.state_dict()
    again.load_state_dict(state)
    assert again.filled().all(), 'of a resumed run too'
    again = neck()
    again.load_state_dict({name: value for name, value in state.items() if not name.endswith('stored')})
    assert again.filled().all(), 'of an earlier version too'


def test_heads_are_separate_and_normalised():
    module, features = neck(), torch.randn(4, 5)
    z = module(features)
    assert z.shape == (3, 4, 3)
    assert torch.allclose(z.norm(dim=-1), torch.ones(3, 4), atol=1e-6)
    first, _, last = module.heads['rotation']
    assert torch.allclose(z[1], F.normalize(last(torch.relu(first(features))), dim=-1))
    assert not torch.allclose(z[0], z[1])


def test_batch_must_divide_the_queue():
    with pytest.raises(ValueError, match=r'queue of 6 keys.*4 images.*queue_len.*drop_last=True'):
        neck().enqueue(torch.randn(3, 4, 3))


@pytest.mark.parametrize('arguments', [dict(spaces=()), dict(queue_len=0)])
def test_settings_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match='QueuePerHeadNeck got'):
        neck(**arguments)


def test_checkpoint_of_other_spaces_is_refused_with_both_lists():
    other = neck(spaces=('invariant', 'rotation')).state_dict()
    with pytest.raises(ValueError, match=r"\['invariant', 'rotation'\].*\['invariant', 'rotation', 'color'\]"):
        neck().load_state_dict(other)
    with pytest.raises(ValueError, match=r'queues of \[12\] keys and the model of 6.*queue_len'):
        neck().load_state_dict(neck(queue_len=12).state_dict())
    neck().load_state_dict(neck().state_dict())


def test_a_checkpoint_of_other_heads_is_refused():
    other = HeadPerSpaceNeck(in_channels=5, hid_channels=9, out_channels=3, spaces=SPACES)
    with pytest.raises(ValueError, match=r'heads.color.0.bias is \(9,\) in the checkpoint and \(8,\) in the model'):
        neck().load_state_dict(other.state_dict(), strict=False)
    stage = HeadPerSpaceNeck(
        in_channels=5, hid_channels=8, out_channels=3, spaces=SPACES, last_stage=torch.nn.Conv2d(5, 5, 1)
    )
    with pytest.raises(ValueError, match=r'heads.color.0.bias is not there in the checkpoint.*last_stage_per_space'):
        neck().load_state_dict(stage.state_dict(), strict=False)
    with pytest.raises(ValueError, match=r"spaces \['invariant', 'rotation', 'color'\] and the model \['invariant'\]"):
        HeadPerSpaceNeck(in_channels=5, spaces=['invariant']).load_state_dict(other.state_dict(), strict=False)
