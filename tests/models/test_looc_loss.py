"""Eq. 2 against loops written from the paper, and against closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F

from looc_mm.models import LooCLoss


def embeddings(n: int, batch: int = 5, width: int = 7, length: int = 11) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(n)
    spaces = n + 1
    q = F.normalize(torch.randn(spaces, batch, width, dtype=torch.float64), dim=-1).requires_grad_()
    k = F.normalize(torch.randn(spaces, spaces, batch, width, dtype=torch.float64), dim=-1)
    queue = F.normalize(torch.randn(spaces, width, length, dtype=torch.float64), dim=1)
    k[0, 1:] = torch.nan  # Eq. 2 does not read z_0 of k_1 ... k_n
    return q, k, queue


def equation_2(q, k, queue, temperature, skip=None):
    """The equation term by term, one query, one space, one key at a time."""
    n = len(q) - 1
    losses = []
    for i in range(n + 1):
        for b in range(q.shape[1]):
            numerator = torch.exp(torch.dot(q[i, b], k[i, i, b]) / temperature)
            denominator = numerator
            if i > 0:
                for j in range(n + 1):
                    if j != i and not (skip is not None and skip[i, j, b]):
                        denominator = denominator + torch.exp(torch.dot(q[i, b], k[i, j, b]) / temperature)
            for column in range(queue.shape[2]):
                denominator = denominator + torch.exp(torch.dot(q[i, b], queue[i, :, column]) / temperature)
            losses.append(-torch.log(numerator / denominator) / (n + 1) / q.shape[1])
    return sum(losses)


@pytest.mark.parametrize('n', [0, 1, 2, 3])
def test_value_and_gradient_are_equation_2s(n):
    q, k, queue = embeddings(n)
    loss, per_space = LooCLoss(temperature=0.3)(q, k, queue)
    (gradient,) = torch.autograd.grad(loss, q)
    expected = equation_2(q, k, queue, 0.3)
    (expected_gradient,) = torch.autograd.grad(expected, q)
    assert per_space.shape == (n + 1,)
    assert torch.allclose(loss, expected, atol=1e-12)
    assert torch.allclose(loss, per_space.mean())
    assert torch.allclose(gradient, expected_gradient, atol=1e-12)


def test_without_spaces_it_is_info_nce():
    q, k, queue = embeddings(0)
    logits = torch.cat([(q[0] * k[0, 0]).sum(1, keepdim=True), q[0] @ queue[0]], 1) / 0.2
    expected = (logits.logsumexp(1) - logits[:, 0]).mean()
    assert torch.allclose(LooCLoss()(q, k, queue)[0], expected)


@pytest.mark.parametrize('n', [0, 1, 2, 3])
def test_equal_similarities_give_the_logarithm_of_the_count(n):
    spaces, length = n + 1, 11
    one = F.normalize(torch.ones(7), dim=0)
    per_space = LooCLoss()(
        one.expand(spaces, 5, 7), one.expand(spaces, spaces, 5, 7), one[None, :, None].expand(spaces, 7, length)
    )[1]
    expected = [math.log(1 + length), *([math.log(1 + n + length)] * n)]
    assert torch.allclose(per_space, torch.tensor(expected), atol=1e-5)


def test_masked_false_negatives_leave_the_denominator():
    q, k, queue = embeddings(2)
    shared = torch.zeros(3, 3, 5, dtype=torch.bool)
    shared[1, 0, 2] = shared[2, 1, 0] = shared[2, 0, 0] = True
    shared[1, 1] = shared[2, 2] = True  # the positives share on purpose and stay
    loss, _ = LooCLoss(temperature=0.3, mask_false_negatives=True)(q, k, queue, shared)
    assert torch.allclose(loss, equation_2(q, k, queue, 0.3, skip=shared), atol=1e-12)
    assert not torch.allclose(loss, equation_2(q, k, queue, 0.3))
    with pytest.raises(ValueError, match='mask_false_negatives'):
        LooCLoss(mask_false_negatives=True)(q, k, queue)


def test_bf16_autocast_at_low_temperature_is_finite_and_float32():
    q, k, queue = (tensor.detach().float() for tensor in embeddings(2))
    q.requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss, _ = LooCLoss(temperature=0.07)(q, k, queue)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and q.grad.isfinite().all()
    assert torch.allclose(loss, LooCLoss(temperature=0.07)(q, k, queue)[0], atol=1e-6), 'similarities lost precision'
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half, _ = LooCLoss(temperature=0.07)(q.bfloat16(), k.bfloat16(), queue.bfloat16())
    assert half.dtype == torch.float32 and half.isfinite()


def test_order_of_the_logits():
    """Positive first, then the other views of the image in order, then the queue."""
    q, k, queue = embeddings(2)
    invariant, first, second = LooCLoss(temperature=1).logits(q, k, queue)
    assert invariant.shape == (5, 12) and first.shape == second.shape == (5, 14)
    expected = torch.stack([(q[1] * k[1, j]).sum(1) for j in (1, 0, 2)], 1)
    assert torch.allclose(first[:, :3], expected)
    assert torch.allclose(second[:, 3:], q[2] @ queue[2])


def test_temperature_must_be_positive():
    with pytest.raises(ValueError, match='temperature=0'):
        LooCLoss(temperature=0)


def test_without_same_image_negatives_every_space_is_info_nce():
    q, k, queue = embeddings(2)
    k[1, 0] = k[1, 2] = k[2, 0] = k[2, 1] = torch.nan  # not read
    loss, per_space = LooCLoss(same_image_negatives=False)(q, k, queue)
    for i in range(3):
        assert torch.allclose(per_space[i], LooCLoss()(q[i : i + 1], k[i : i + 1, i : i + 1], queue[i : i + 1])[0])
    assert torch.allclose(loss, per_space.mean())


@pytest.mark.parametrize(('spaces', 'options'), [(1, {}), (3, {'same_image_negatives': False})])
def test_where_no_negative_is_of_the_same_image_nothing_is_masked(spaces, options):
    """So that MoCo and the controls can inherit a config that masks, without a view table."""
    torch.manual_seed(0)
    q, k = torch.randn(spaces, 4, 8), torch.randn(spaces, spaces, 4, 8)
    queue = torch.randn(spaces, 8, 6)
    masked = LooCLoss(mask_false_negatives=True, **options)(q, k, queue)
    assert torch.equal(masked[1], LooCLoss(**options)(q, k, queue)[1])
