"""IN-100: one hundred of ImageNet's classes, read from an ImageNet folder."""

import logging
import os
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from looc_mm.registry import DATASETS

from .folder import ImageFolder

#: The list published with CMC (Tian et al., 2019), which is unsorted; labels are indices into the sorted wnids.
WNIDS = tuple(sorted((Path(__file__).parent / 'imagenet100.txt').read_text().split()))
COUNTS = {'train': 126_689, 'val': 5_000}


@DATASETS.register_module()
class IN100(ImageFolder):
    """The IN-100 subset as a filter over an ImageNet folder; nothing is copied.

    Args:
        data_root: The ImageNet folder, with ``train/<wnid>/`` and ``val/<wnid>/`` in it.
        split: 'train' or 'val'.
        **kwargs: The other arguments of ``ImageFolder``; there are always labels.

    Raises:
        FileNotFoundError: Some of the hundred folders are not there.
        ValueError: There is no such split.
    """

    METAINFO = {'classes': WNIDS}

    def __init__(self, data_root: str, split: str = 'train', **kwargs: Any) -> None:
        if split not in COUNTS:
            raise ValueError(f"IN100 got split={split!r}; it has the splits 'train' and 'val'")
        self.split = split
        super().__init__(data_root, data_prefix=split, with_label=True, **kwargs)

    def class_folders(self) -> list[str]:
        """The hundred wnids, sorted."""
        missing = [wnid for wnid in WNIDS if not os.path.isdir(os.path.join(self.img_prefix, wnid))]
        if missing:
            raise FileNotFoundError(
                self._message(f'{len(missing)} of the 100 class folders are missing, first {" ".join(missing[:3])}')
            )
        return list(WNIDS)

    def load_data_list(self) -> list[dict]:
        """List the samples, and warn if they are not as many as published."""
        samples = super().load_data_list()
        if len(samples) != COUNTS[self.split]:
            print_log(
                f'IN100 {self.split} has {COUNTS[self.split]} images, but {len(samples)} were found in '
                f'{self.img_prefix!r}: figures will not compare with published ones',
                logger='current',
                level=logging.WARNING,
            )
        return samples
