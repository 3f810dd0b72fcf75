"""LooC on SimCLR, against plain loops and over two gloo processes."""

import pytest
import torch

from looc_mm.models import MultiHeadSimCLR

from .test_multi_head_moco import build, views


def simclr(**kwargs) -> MultiHeadSimCLR:
    neck = dict(type='HeadPerSpaceNeck', in_channels=64, hid_channels=16, out_channels=8)
    return build(type='MultiHeadSimCLR', neck=neck, **kwargs)


@pytest.mark.parametrize('leave_one_out', [[], ['rotation', 'color']])
def test_loss_is_eq_2_with_negatives_from_the_batch(leave_one_out):
    model = simclr(leave_one_out=leave_one_out).eval()
    inputs = views(model, batch=5)
    with torch.no_grad():
        v = [model.backbone(view)[-1].mean((2, 3)) for view in inputs]
        z = {space: [model.neck.heads[space](each) for each in v] for space in model.spaces}  # [space][view], 5 x 8
        total = 0.0
        for i, space in enumerate(model.spaces):
            q, keys = z[space][0], z[space][1:]
            for b in range(5):
                negatives = [other[c] for other in (q, keys[i]) for c in range(5) if c != b]
                if i:
                    negatives += [keys[j][b] for j in range(len(keys)) if j != i]
                logits = torch.stack([q[b] @ key for key in (keys[i][b], *negatives)]) / 0.2
                total -= logits.log_softmax(0)[0].item() / 5 / len(model.spaces)
    assert model.loss(inputs)['loss'].item() == pytest.approx(total, abs=1e-5)


def test_every_view_has_a_gradient_and_nothing_is_kept_between_steps():
    model = simclr()
    inputs = views(model).requires_grad_()
    model.loss(inputs)['loss'].backward()
    assert all(view.abs().sum() > 0 for view in inputs.grad)
    names = set(model.state_dict())
    assert not any('queue' in name or 'key' in name for name in names)


def test_two_processes_have_the_gradient_of_one(ranks):
    """The mean of the processes' gradients, keys of other processes included, batch norm fixed."""
    model = simclr()
    model.init_weights()
    model.backbone.eval()
    loss = model.loss(torch.randn(4, 8, 3, 32, 32, generator=torch.Generator().manual_seed(7)))['loss']
    loss.backward()
    assert sum(each['simclr_loss'] for each in ranks) / 2 == pytest.approx(loss.item(), abs=1e-5)
    for name, parameter in model.named_parameters():
        for each in ranks:
            assert torch.allclose(each['simclr_grads'][name], parameter.grad, atol=1e-5), name
