import math

import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from looc_mm.evaluation.nearest import nearest


def draw(*sizes: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, 6, generator=generator) for size in sizes]


@pytest.fixture(params=[(2**17, 1024), (40, 5), (16, 2), (3, 1)], ids=str)
def blocks(request, monkeypatch):
    """Everything in one block; blocks that fit; a last block that is smaller; blocks smaller than k."""
    monkeypatch.setattr('looc_mm.evaluation.nearest.GALLERY_BLOCK', request.param[0])
    monkeypatch.setattr('looc_mm.evaluation.nearest.QUERY_BLOCK', request.param[1])


def test_by_a_loop(blocks):
    gallery, queries = draw(40, 5)
    cosines, indices = nearest(gallery, queries, 7)
    assert cosines.shape == indices.shape == (5, 7) and indices.dtype == torch.int64
    for query, cosine, index in zip(queries.tolist(), cosines, indices, strict=True):
        dots = [sum(a * b for a, b in zip(query, row, strict=True)) for row in gallery.tolist()]
        oracle = [dot / math.hypot(*query) / math.hypot(*row) for dot, row in zip(dots, gallery.tolist(), strict=True)]
        best = sorted(range(40), key=lambda i: -oracle[i])[:7]
        assert index.tolist() == best
        assert cosine.tolist() == pytest.approx([oracle[i] for i in best], abs=1e-6)


@pytest.mark.parametrize('k', [1, 40])
def test_as_scikit_learn(blocks, k):
    gallery, queries = draw(40, 5)
    gallery[17] = 0  # its cosine is 0
    distance, expected = (
        NearestNeighbors(n_neighbors=k, metric='cosine').fit(gallery.numpy()).kneighbors(queries.numpy())
    )
    cosine, index = nearest(gallery, queries, k)
    assert torch.equal(index, torch.from_numpy(expected))
    assert torch.allclose(cosine, 1 - torch.from_numpy(distance), atol=1e-6)


def test_k_greater_than_the_gallery():
    with pytest.raises(ValueError, match='k=41 and 40 training samples; set k to at most 40'):
        nearest(*draw(40, 5), 41)


class Memory(TorchDispatchMode):
    """Peak of the bytes of all storages that live at once, the given ones aside."""

    def __init__(self, *given):
        super().__init__()
        self.given = {each.untyped_storage()._cdata for each in given}
        self.live, self.peak = {}, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, torch.Tensor) and each.untyped_storage()._cdata not in self.given:
                reference = StorageWeakRef(each.untyped_storage())
                self.live[reference.cdata] = reference, each.untyped_storage().nbytes()
        self.live = {key: value for key, value in self.live.items() if not value[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.live.values()))
        return result


def test_imagenet_takes_two_gigabytes_beyond_the_gallery():
    gallery, queries = torch.empty(1_300_000, 2048, device='meta'), torch.empty(10_000, 2048, device='meta')
    with Memory(gallery, queries) as memory:
        cosine, index = nearest(gallery, queries, 20)
    assert cosine.shape == index.shape == (10_000, 20)
    assert cosine.device == index.device == gallery.device
    assert 1 * 2**30 < memory.peak < 2.2 * 2**30
