"""CUB-200-2011, 200 species of birds: MMPreTrain's reader, with checks of what was unpacked."""

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from looc_mm.registry import DATASETS
from looc_mm.stack import CUB as MMPreTrainCUB

from .broken import ReplaceBroken
from .checks import Part, build_pipeline, check_split, require_files, require_images, warn_of_count

ARCHIVE = 'CUB_200_2011.tgz'
FILES = ('images.txt', 'image_class_labels.txt', 'train_test_split.txt', 'images/')


@DATASETS.register_module()
class CUB(ReplaceBroken, MMPreTrainCUB):
    """CUB-200-2011 in the layout of its archive.

    Args:
        data_root: The folder ``CUB_200_2011``, with ``images/`` and the text files in it.
        split: 'train' or 'test'.
        pipeline: Transforms, or configs of them.
        **kwargs: The other arguments of MMPreTrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: A text file or an image is not there.
        ValueError: There is no such split, or the text files do not fit together.
    """

    published: ClassVar[dict[str, Part]] = {'train': Part(5_994, 200), 'test': Part(5_794, 200)}

    def __init__(
        self, data_root: str, split: str = 'train', pipeline: Sequence[dict | Callable] = (), **kwargs: Any
    ) -> None:
        check_split('CUB', split, self.published)
        super().__init__(os.path.expanduser(data_root), split=split, pipeline=build_pipeline(pipeline), **kwargs)

    def load_data_list(self) -> list[dict]:
        """List ``img_path`` and ``gt_label``, the published class number less one, in the order of images.txt."""
        require_files('CUB', self.data_root, FILES, f'Unpack {ARCHIVE} there')
        try:
            samples = super().load_data_list()
        except (AssertionError, ValueError) as error:
            raise ValueError(
                f'The text files in {self.data_root!r} do not fit together ({error}); unpack {ARCHIVE} again'
            ) from error
        require_images('CUB', [sample['img_path'] for sample in samples], ARCHIVE)
        warn_of_count(f'CUB {self.split}', len(samples), self.published[self.split].images, self.data_root)
        return samples
