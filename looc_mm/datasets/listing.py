"""What a dataset lists without loading a picture."""

import pickle
from typing import Any

from torch.utils.data import ConcatDataset


def listed_samples(dataset: Any) -> list[dict] | None:
    """The samples that a dataset of MMEngine's kind would load, as it lists them; None for another kind.

    The samples of a concatenation are those of its parts.
    """
    if isinstance(dataset, ConcatDataset):
        parts = [listed_samples(each) for each in dataset.datasets]
        return None if None in parts else [sample for part in parts for sample in part or ()]
    if not hasattr(dataset, 'load_data_list'):
        return None
    dataset.full_init()
    if not dataset.serialize_data:
        return dataset.data_list
    ends = dataset.data_address.tolist()
    starts = [0, *ends[:-1]]
    return [pickle.loads(memoryview(dataset.data_bytes[a:b])) for a, b in zip(starts, ends, strict=True)]  # noqa: S301
