"""Damaged checkpoints are refused, by the reader and by a training, before a weight is used."""

import random
import re
from pathlib import Path

import pytest
import torch

from looc_mm.checkpoint import read_checkpoint
from looc_mm.whole import check_whole


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.fixture
def checkpoint(tmp_path):
    """A small file of the work dir's second epoch, and its weights."""
    path = tmp_path / 'epoch_2.pth'
    state = {f'layer{i}.weight': torch.randn(40, 3, generator=torch.Generator().manual_seed(i)) for i in range(4)}
    torch.save({'state_dict': state, 'meta': {'epoch': 2}}, path)
    return path, state


def test_a_flipped_bit_is_refused_or_changes_nothing(checkpoint):
    path, state = checkpoint
    whole = path.read_bytes()
    refused = 0
    for bit in random.Random(0).sample(range(8 * len(whole)), 30):
        flip(path, bit)
        try:
            read = read_checkpoint(path).state_dict
        except ValueError as error:
            refused += 1
            assert re.search('is damaged|cannot be read: it is truncated', str(error)), (bit, error)
        else:
            assert read.keys() == state.keys() and all(torch.equal(read[name], state[name]) for name in state), bit
        path.write_bytes(whole)
    assert refused > 10
    assert torch.equal(read_checkpoint(path).state_dict['layer0.weight'], state['layer0.weight'])


def test_every_flipped_bit_of_a_weight_is_refused_by_the_name_of_its_entry(checkpoint):
    path, state = checkpoint
    whole = path.read_bytes()
    start = whole.index(state['layer2.weight'].numpy().tobytes())
    for bit in range(8 * start, 8 * (start + 480), 101):
        flip(path, bit)
        with pytest.raises(
            ValueError, match="epoch_2.pth is damaged: its entry 'epoch_2/data/2' differs from the chec"
        ):
            check_whole(path)
        path.write_bytes(whole)


@pytest.mark.parametrize('place, bit', [('attributes', 38 * 8 + 4), ('method', 10 * 8 + 3), ('size', 24 * 8 + 5)])
def test_a_flipped_bit_in_the_directory_of_entries_is_refused(checkpoint, place, bit):
    """PyTorch reads an entry that is marked as a folder without an error, and returns what the memory held."""
    path, _ = checkpoint
    whole = path.read_bytes()
    name = whole.rindex(b'epoch_2/data/1')
    record = whole.rindex(b'PK\x01\x02', 0, name)
    flip(path, 8 * record + bit)
    with pytest.raises(ValueError, match="epoch_2.pth is damaged: its entry 'epoch_2/data/1'"):
        check_whole(path)


def test_a_flipped_bit_in_the_end_record_is_refused(checkpoint):
    path, _ = checkpoint
    flip(path, 8 * path.read_bytes().rindex(b'PK\x06\x07') + 8 * 16 + 1)  # the number of disks
    with pytest.raises(ValueError, match='epoch_2.pth is damaged: its directory of entries'):
        check_whole(path)


def test_the_newest_whole_checkpoint_is_named(checkpoint):
    path, _ = checkpoint
    whole = path.read_bytes()
    names = [path.with_name(f'epoch_{epoch}.pth') for epoch in (1, 10, 11, 12)]
    for each in names:
        each.write_bytes(whole)
    middle = 8 * whole.index(b'layer1.weight')
    flip(path, middle)
    flip(names[-1], middle)
    names[-2].write_bytes(whole[:-40])
    with pytest.raises(ValueError, match=r'epoch_12.pth is damaged: .*; \S+epoch_10.pth is the newest whole one'):
        check_whole(names[-1])
    for each in names[:-1]:
        each.unlink()
    with pytest.raises(ValueError, match='epoch_12.pth is damaged: .* another checkpoint of the run, if there is one'):
        check_whole(names[-1])


def test_a_file_of_old_pytorch_has_no_checksums(tmp_path):
    torch.save({'state_dict': {'a': torch.ones(2)}}, tmp_path / 'a.pth', _use_new_zipfile_serialization=False)
    assert torch.equal(read_checkpoint(tmp_path / 'a.pth').state_dict['a'], torch.ones(2))


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    state = {'a': torch.ones(3), 'steps': torch.tensor(7), 'b': torch.ones(2, 2, dtype=torch.bfloat16)}
    torch.save({'state_dict': state}, tmp_path / 'a.pth')
    read_checkpoint(tmp_path / 'a.pth')
    state['b'][1, 0] = value
    torch.save({'state_dict': state}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='a.pth holds weights that are NaN or infinite, the first in b'):
        read_checkpoint(tmp_path / 'a.pth')
