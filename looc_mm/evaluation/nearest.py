"""Exact nearest neighbours by cosine, in bounded memory.

Shapes: N gallery rows, M queries, C feature width, k neighbours; N' and M' rows of one block.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

GALLERY_BLOCK = 2**17  # N': 1 GiB of normalised float32 rows at C = 2048
QUERY_BLOCK = 1024  # M': 512 MiB of float32 cosines with N' rows


def nearest(gallery: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k gallery rows with the highest cosine to each query, best first.

    The search is exact; the order of equal cosines is not defined. Beyond the arguments and the result it takes at most
    two blocks of normalised gallery rows, (N', C), or one of them and its cosines with a block of queries, (M', N').

    Args:
        gallery: (N, C) floating point.
        queries: (M, C), same dtype and device.
        k: Number of neighbours, at most N.

    Returns:
        Cosines, (M, k), and row numbers in the gallery, (M, k) int64, on the device of the arguments.

    Raises:
        ValueError: If k is greater than N.
    """
    if k > len(gallery):
        raise ValueError(f'Got k={k} and {len(gallery)} training samples; set k to at most {len(gallery)}.')
    cosine = queries.new_empty(len(queries), 0)  # M x 0, then M x k: the best of the blocks so far
    index = torch.empty_like(cosine, dtype=torch.int64)
    for start in range(0, len(gallery), GALLERY_BLOCK):
        keys = F.normalize(gallery[start : start + GALLERY_BLOCK], dim=1)  # N' x C
        best = [
            (F.normalize(rows, dim=1) @ keys.t()).topk(min(k, len(keys)))  # M' x k
            for rows in queries.split(QUERY_BLOCK)
        ]
        cosine = torch.cat([cosine, torch.cat([each.values for each in best])], 1)
        index = torch.cat([index, torch.cat([each.indices for each in best]) + start], 1)
        if start > 0:
            cosine, order = cosine.topk(min(k, cosine.shape[1]))
            index = index.gather(1, order)
    return cosine, index
