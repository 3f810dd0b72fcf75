"""Oxford Flowers-102: MMPreTrain's reader, with the names of the classes and checks of what was unpacked."""

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torchvision.datasets import Flowers102 as TorchvisionFlowers102

from looc_mm.registry import DATASETS
from looc_mm.stack import Flowers102 as MMPreTrainFlowers102

from .broken import ReplaceBroken
from .checks import Part, build_pipeline, check_split, require_files, require_images, warn_of_count

ARCHIVE = '102flowers.tgz'
FILES = ('imagelabels.mat', 'setid.mat', 'jpg/')


@DATASETS.register_module()
class Flowers102(ReplaceBroken, MMPreTrainFlowers102):
    """Flowers-102 as published: train and val hold 10 images of each class, test the rest.

    Args:
        data_root: The folder with ``jpg/``, ``imagelabels.mat`` and ``setid.mat`` in it.
        split: 'train', 'val', 'trainval' (the two together) or 'test'.
        pipeline: Transforms, or configs of them.
        **kwargs: The other arguments of MMPreTrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: A .mat file or an image is not there.
        ValueError: There is no such split, or a .mat file cannot be read.
    """

    METAINFO = {'classes': tuple(TorchvisionFlowers102.classes)}
    published: ClassVar[dict[str, Part]] = {
        'train': Part(1_020, 102),
        'val': Part(1_020, 102),
        'trainval': Part(2_040, 102),
        'test': Part(6_149, 102),
    }

    def __init__(
        self, data_root: str, split: str = 'train', pipeline: Sequence[dict | Callable] = (), **kwargs: Any
    ) -> None:
        check_split('Flowers102', split, self.published)
        super().__init__(os.path.expanduser(data_root), split=split, pipeline=build_pipeline(pipeline), **kwargs)

    def load_data_list(self) -> list[dict]:
        """List ``img_path`` and ``gt_label``, the published class number less one, in the order of setid.mat."""
        remedy = f'Unpack {ARCHIVE} and put imagelabels.mat and setid.mat there'
        require_files('Flowers102', self.data_root, FILES, remedy)
        try:
            samples = super().load_data_list()
        except Exception as error:  # mat4py lets whatever it stumbles over through: struct.error, IndexError, ...
            raise ValueError(
                f'imagelabels.mat and setid.mat in {self.data_root!r} cannot be read together '
                f'({type(error).__name__}: {error}); download both again'
            ) from error
        require_images('Flowers102', [sample['img_path'] for sample in samples], ARCHIVE)
        published = self.published[self.split].images
        warn_of_count(f'Flowers102 {self.split}', len(samples), published, self.data_root)
        return samples
