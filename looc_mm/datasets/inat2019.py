"""iNaturalist 2019, 1,010 species, with a share of its training images moved to the small validation set."""

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from looc_mm.registry import DATASETS

from .broken import ReplaceBroken
from .checks import Part, build_pipeline, check_split, require_files, require_images, warn_of_count
from .reallocate import reallocated

ARCHIVE = 'train_val2019.tar.gz'
FILES = ('train2019.json', 'val2019.json', 'train_val2019/')


@DATASETS.register_module()
class INat2019(ReplaceBroken):
    """iNaturalist 2019 as published, but for a tenth of the training images, which validate (appendix B).

    Which ones was not published with the paper. Here it follows from the seed and their names, the same share of
    every class, and is written to a file, which is obeyed if it is there already.

    Args:
        data_root: The folder with ``train_val2019/<super category>/<category>/``, ``train2019.json`` and
            ``val2019.json`` in it.
        split: 'train' or 'val'.
        reallocate: Share of the training images to move to validation; 0 is the official split.
        seed: Another seed moves other images.
        split_file: Where the moved images are written down; by default a file in ``data_root`` whose name gives
            share and seed.
        pipeline: Transforms, or configs of them.
        **kwargs: The other arguments of MMPreTrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: An annotation file or an image is not there.
        OSError: The split file cannot be written.
        ValueError: There is no such split, the share is out of range, an annotation file is not what was published,
            or the split file is of another share, seed or training set.
    """

    published: ClassVar[dict[str, Part]] = {
        'train': Part(265_213, 1_010, dict(split='train', reallocate=0)),
        'val': Part(3_030, 1_010, dict(split='val', reallocate=0)),
    }

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        reallocate: float = 0.1,
        seed: int = 0,
        split_file: str | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs: Any,
    ) -> None:
        check_split('INat2019', split, self.published)
        if not 0 <= reallocate < 1:
            raise ValueError(f'INat2019 got reallocate={reallocate}; it is a share, from 0 (none) to below 1')
        root = os.path.expanduser(data_root)
        self.split = split
        self.reallocate = reallocate
        self.seed = seed
        self.split_file = os.path.expanduser(
            split_file or os.path.join(root, f'looc_split_{reallocate:g}_seed{seed}.json')
        )
        super().__init__(ann_file='', data_root=root, pipeline=build_pipeline(pipeline), **kwargs)

    def load_data_list(self) -> list[dict]:
        """List ``img_path`` and ``gt_label``, an index into the categories sorted by their ids."""
        remedy = f'Unpack {ARCHIVE}, train2019.json.tar.gz and val2019.json.tar.gz there'
        require_files('INat2019', self.data_root, FILES, remedy)
        train, categories = self._read('train2019.json')
        val, others = self._read('val2019.json')
        if categories.keys() != others.keys():
            raise ValueError(
                f'train2019.json and val2019.json in {self.data_root!r} have {len(categories)} and {len(others)} '
                'categories, not the same ids; unpack both again'
            )
        self._metainfo['classes'] = tuple(categories.values())
        for split, labels in (('train', train), ('val', val)):
            warn_of_count(f'iNaturalist 2019 {split}', len(labels), self.published[split].images, self.data_root)
        classes = self.published[self.split].classes
        warn_of_count('iNaturalist 2019', len(categories), classes, self.data_root, 'classes')

        if self.reallocate:
            for name in reallocated(train, self.reallocate, self.seed, self.split_file):
                val[name] = train.pop(name)
        samples: list[dict] = [
            {'img_path': os.path.join(self.data_root, name), 'gt_label': label}
            for name, label in (train if self.split == 'train' else val).items()
        ]
        require_images('INat2019', [sample['img_path'] for sample in samples], ARCHIVE)
        return samples

    def _read(self, file: str) -> tuple[dict[str, int], dict[int, str]]:
        """Labels by file name, in the order of the annotations, and names by category id."""
        path = os.path.join(self.data_root, file)
        try:
            with open(path, encoding='utf-8') as stream:
                content = json.load(stream)
            names = {image['id']: image['file_name'] for image in content['images']}
            categories = {
                each['id']: each['name'] for each in sorted(content['categories'], key=lambda each: each['id'])
            }
            label_of = {id_: label for label, id_ in enumerate(categories)}
            labels = {names[each['image_id']]: label_of[each['category_id']] for each in content['annotations']}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'{path!r} is no COCO-style file of images, categories and annotations that belong together '
                f'({type(error).__name__}: {error}); unpack {file}.tar.gz again'
            ) from error
        return labels, categories
