"""A folder of images, of any depth, with or without classes."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from mmengine.logging import print_log

from looc_mm.registry import DATASETS, TRANSFORMS
from looc_mm.stack import CustomDataset

from .label_file import check_label_file

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff', '.ppm', '.pgm')


def visible_files(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Paths of all files below a folder, without hidden files and folders; links are followed."""
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith('.')]
        yield from (os.path.join(parent, name) for name in files if not name.startswith('.'))


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """All images below a folder, whose direct sub-folders are the classes if there are labels.

    Hidden files and folders (``._x.jpg``, ``.ipynb_checkpoints``) are passed over, links are followed. With an
    ``ann_file`` the samples are the ones listed there, as in MMPreTrain's ``CustomDataset``.

    Args:
        data_root: The folder.
        with_label: Take the sub-folders as classes, numbered in sorted order.
        extensions: What the name of an image ends with, in either case.
        pipeline: Transforms, or configs of them.
        **kwargs: The other arguments of ``CustomDataset``.

    Raises:
        FileNotFoundError: The folder is not there, or has no images.
        ValueError: ``with_label`` without sub-folders, or with another number of them than of ``classes``.
    """

    alias = 'folder'
    published: ClassVar[Any] = 'the pictures are your own'

    def __init__(
        self,
        data_root: str,
        with_label: bool = False,
        extensions: Sequence[str] = EXTENSIONS,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            data_root=os.path.expanduser(data_root),
            with_label=with_label,
            extensions=extensions,
            # built here, as the parent's registry does not look into ours
            pipeline=[TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline],
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """List ``img_path`` and, with labels, ``gt_label`` of every image, sorted by path."""
        if self.ann_file:
            if self.with_label:
                check_label_file(self.ann_file)
            return super().load_data_list()
        if not os.path.isdir(self.img_prefix):
            raise FileNotFoundError(self._message('there is no such folder'))
        samples: list[dict]
        if self.with_label:
            samples = [
                {'img_path': path, 'gt_label': label}
                for label, folder in enumerate(self.class_folders())
                for path in self._images(folder)
            ]
        else:
            samples = [{'img_path': path} for path in self._images('')]
        if not samples:
            raise FileNotFoundError(
                self._message(f'no images in it; their names end with {" ".join(sorted(self.extensions))}')
            )
        return samples

    def class_folders(self) -> list[str]:
        """The classes' folders, in the order of their labels."""
        folders = sorted(
            entry.name for entry in os.scandir(self.img_prefix) if entry.is_dir() and not entry.name.startswith('.')
        )
        if not folders:
            raise ValueError(self._message('with_label=True takes sub-folders as classes, and it has none'))
        if self.CLASSES is None:
            self._metainfo['classes'] = tuple(folders)
        elif len(self.CLASSES) != len(folders):
            raise ValueError(self._message(f'{len(folders)} sub-folders, but {len(self.CLASSES)} classes were named'))
        return folders

    def is_valid_file(self, filename: str) -> bool:
        """Whether a file is an image by its name, without its folder."""
        return super().is_valid_file(filename) and not filename.startswith('.')

    def _images(self, folder: str) -> list[str]:
        files = visible_files(os.path.join(self.img_prefix, folder))
        images = [path for path in files if self.is_valid_file(os.path.basename(path))]
        if folder and not images:
            print_log(f'No images of class {folder!r} in {self.img_prefix!r}', logger='current', level=logging.WARNING)
        return sorted(images)

    def _message(self, problem: str) -> str:
        return (
            f'{type(self).__name__} got {self.img_prefix!r} ({os.path.abspath(self.img_prefix)}): {problem}. '
            'Put or link the images there, or change the folder, in training with '
            '`--cfg-options train_dataloader.dataset.data_root=...`, in evaluation with both '
            '`test_dataloader.dataset.data_root=...` and `test_cfg.train_dataloader.dataset.data_root=...`'
        )
