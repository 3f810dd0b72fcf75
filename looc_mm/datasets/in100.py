"""IN-100: one hundred of ImageNet's classes, read from an ImageNet folder."""

from pathlib import Path
from typing import Any, ClassVar

from looc_mm.registry import DATASETS

from .checks import Part, check_split, require_folders, warn_of_count
from .folder import ImageFolder

#: The list published with CMC (Tian et al., 2019), which is unsorted; labels are indices into the sorted wnids.
WNIDS = tuple(sorted((Path(__file__).parent / 'imagenet100.txt').read_text().split()))


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
    published: ClassVar[dict[str, Part]] = {'train': Part(126_689, 100), 'val': Part(5_000, 100)}

    def __init__(self, data_root: str, split: str = 'train', **kwargs: Any) -> None:
        check_split('IN100', split, self.published)
        self.split = split
        super().__init__(data_root, data_prefix=split, with_label=True, **kwargs)

    def class_folders(self) -> list[str]:
        """The hundred wnids, sorted."""
        require_folders(self.img_prefix, WNIDS, self._message)
        return list(WNIDS)

    def load_data_list(self) -> list[dict]:
        """List the samples, and warn if they are not as many as published."""
        samples = super().load_data_list()
        warn_of_count(f'IN100 {self.split}', len(samples), self.published[self.split].images, self.img_prefix)
        return samples
