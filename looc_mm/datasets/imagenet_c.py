"""Corrupted test sets, <corruption>/<severity>/<class>/: ImageNet-C (Hendrycks & Dietterich, 2019) and its like."""

import os
from typing import Any, ClassVar

from looc_mm.registry import DATASETS

from .checks import Part, require_folders, warn_of_count
from .folder import ImageFolder
from .in100 import WNIDS

SEVERITIES = (1, 2, 3, 4, 5)
#: The corruptions of each published archive.
ARCHIVES = {
    'noise': ('gaussian_noise', 'shot_noise', 'impulse_noise'),
    'blur': ('defocus_blur', 'glass_blur', 'motion_blur', 'zoom_blur'),
    'weather': ('snow', 'frost', 'fog', 'brightness'),
    'digital': ('contrast', 'elastic_transform', 'pixelate', 'jpeg_compression'),
}


@DATASETS.register_module()
class CorruptedFolder(ImageFolder):
    """The images of one corruption and severity; the classes are the folders below it, in sorted order.

    Args:
        data_root: The folder with ``<corruption>/<severity>/<class>/`` in it.
        corruption: Name of a folder, such as 'gaussian_noise'.
        severity: 1 to 5.
        **kwargs: The other arguments of ``ImageFolder``; there are always labels.

    Raises:
        FileNotFoundError: There is no such corruption or severity, or there are no images of it.
        ValueError: The severity is out of range.
    """

    published: ClassVar[Any] = 'the corrupted pictures are your own'

    def __init__(self, data_root: str, corruption: str, severity: int, **kwargs: Any) -> None:
        if severity not in SEVERITIES:
            raise ValueError(f'{type(self).__name__} got severity={severity!r}; severities are 1 (mild) to 5 (severe)')
        self.corruption = corruption
        self.severity = severity
        super().__init__(data_root, data_prefix=f'{corruption}/{severity}', with_label=True, **kwargs)

    def load_data_list(self) -> list[dict]:
        """List ``img_path`` and ``gt_label``, sorted by path."""
        if os.path.isdir(self.data_root) and not os.path.isdir(self.img_prefix):
            found = sorted(entry.name for entry in os.scandir(self.data_root) if entry.is_dir())
            raise FileNotFoundError(
                self._message(f'no such corruption and severity; {self.data_root!r} has the folders {found}')
            )
        return super().load_data_list()


@DATASETS.register_module()
class ImageNetC(CorruptedFolder):
    """ImageNet-C's images of IN-100's classes, under IN-100's labels. They are 224 x 224: feed them as they are.

    Args:
        data_root: The folder with ``<corruption>/<severity>/<wnid>/`` in it.
        corruption: Name of a folder, such as 'gaussian_noise'.
        severity: 1 to 5.
        **kwargs: The other arguments of ``ImageFolder``; there are always labels.

    Raises:
        FileNotFoundError: Some of the hundred folders are not there.
        ValueError: The severity is out of range.
    """

    METAINFO = {'classes': WNIDS}
    alias = 'imagenet-c'
    published: ClassVar[dict[str, Part]] = {
        f'{corruption} {severity}': Part(5_000, len(WNIDS), dict(corruption=corruption, severity=severity))
        for corruption in sum(ARCHIVES.values(), ())
        for severity in SEVERITIES
    }

    def class_folders(self) -> list[str]:
        """The hundred wnids, sorted."""
        require_folders(self.img_prefix, WNIDS, self._message)
        return list(WNIDS)

    def load_data_list(self) -> list[dict]:
        """List the samples, and warn if they are not as many as published."""
        samples = super().load_data_list()
        part = f'{self.corruption} {self.severity}'
        if part in self.published:
            published = self.published[part].images
            warn_of_count(f'ImageNet-C {part} of IN-100', len(samples), published, self.img_prefix)
        return samples
