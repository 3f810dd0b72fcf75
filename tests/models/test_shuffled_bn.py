"""Shuffled batch norm, alone and over two gloo processes."""

import torch

from looc_mm.models.shuffled_bn import Shuffle

from .test_multi_head_moco import build


def test_one_process_permutes_and_restores():
    order = Shuffle(16, torch.Generator().manual_seed(0))
    images = torch.arange(16)[:, None]
    shuffled = order.shuffle(images)
    assert not torch.equal(shuffled, images) and torch.equal(shuffled.sort(0).values, images)
    assert torch.equal(order.restore(shuffled), images)


def test_two_processes_exchange_and_restore(ranks):
    images = torch.cat([each['images'] for each in ranks])
    shuffled = torch.cat([each['shuffled'] for each in ranks])
    expected = images[torch.randperm(8, generator=torch.Generator().manual_seed(0))]
    assert torch.equal(shuffled, expected), 'the permutation of a single process over all images'
    assert (ranks[0]['shuffled'] >= 4).any(), 'images did change processes'
    assert all(torch.equal(each['restored'], each['images']) for each in ranks)


def test_two_processes_draw_different_views(ranks):
    assert not torch.equal(ranks[0]['views'], ranks[1]['views'])


def test_two_processes_hold_one_model(ranks):
    for name, value in ranks[0]['state'].items():
        if 'running_' in name:
            continue  # batch norm's running statistics are each process's own, as in MoCo
        assert torch.equal(value, ranks[1]['state'][name]), name


def test_gathered_keys_are_those_of_one_process(ranks):
    model = build()
    model.init_weights()
    inputs = torch.randn(4, 8, 3, 32, 32, generator=torch.Generator().manual_seed(7))
    model.key_backbone.eval()
    keys = model.encode_keys(inputs[1:], lambda v: model.project_keys(model.key_heads, v))  # S x S x 2B x D
    assert torch.allclose(torch.cat([each['keys'] for each in ranks], 2), keys, atol=1e-5)


def test_queues_hold_the_keys_of_both_processes_rank_by_rank(ranks):
    keys = torch.cat([each['own_keys'] for each in ranks], 1)  # S x 2B x D
    assert not torch.equal(ranks[0]['own_keys'], ranks[1]['own_keys'])
    for each in ranks:
        assert torch.equal(each['enqueued'][:, :, :8], keys.transpose(1, 2))
