"""A dataset of Hugging Face that ``save_to_disk`` wrote, read without a copy of its pictures."""

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from looc_mm.registry import DATASETS

from .checks import build_pipeline
from .contained import ContainedPictures
from .decoding import NO_PICTURE, PictureError


@DATASETS.register_module()
class HuggingFaceDataset(ContainedPictures):
    """The pictures of a folder that ``datasets.Dataset.save_to_disk`` or ``DatasetDict.save_to_disk`` wrote.

    Its arrow files are mapped into the memory, so that processes share them. Pictures are decoded as all others are.

    Args:
        data_root: The folder.
        split: Of a ``DatasetDict``: which one, such as 'train'.
        image: The column of the pictures: images or bytes. None for the only column of images.
        label: The column of the labels: class labels, whole numbers or texts; None for no labels.
        pipeline: Transforms, or configs of them.
        **kwargs: The other arguments of MMPreTrain's ``BaseDataset``.

    Raises:
        ImportError: The package datasets is not installed.
        FileNotFoundError: There is no such folder, or it is not one that ``save_to_disk`` wrote.
        ValueError: There is no such split or column, or it is of another kind.
    """

    published: ClassVar[Any] = 'the pictures are your own'

    def __init__(
        self,
        data_root: str,
        split: str | None = None,
        image: str | None = None,
        label: str | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs: Any,
    ) -> None:
        self.split, self.image, self.label = split, image, label
        super().__init__(
            ann_file='', data_root=os.path.expanduser(data_root), pipeline=build_pipeline(pipeline), **kwargs
        )

    def load_data_list(self) -> list[dict]:
        """List ``row`` and, with labels, ``gt_label``."""
        table = self._open()
        self.fingerprint = table._fingerprint
        column = self._image_column(table)
        labels = None if self.label is None else self._labels(table)
        self._pictures = table.select_columns([column]).with_format('arrow')
        return [{'row': row, **({} if labels is None else {'gt_label': labels[row]})} for row in range(len(table))]

    def place(self, info: dict[str, Any]) -> str:
        """The folder and the row."""
        split = f'{self.split}, ' if self.split else ''
        return f'{self.data_root}, {split}row {info["row"]}'

    def content(self, info: dict[str, Any]) -> bytes:
        """The bytes of a row, or of the file that it names."""
        value = self._pictures[info['row']].column(0)[0].as_py()
        if isinstance(value, dict) and value.get('bytes') is None and value.get('path'):
            with open(value['path'], 'rb') as file:
                return file.read()
        found = value.get('bytes') if isinstance(value, dict) else value
        if not found:
            problem = 'has no picture'
            raise PictureError(f'{info["img_path"]} {problem}. Remove the row.', NO_PICTURE, problem)
        return found

    def _open(self) -> Any:
        try:
            import datasets
        except ImportError as error:
            raise ImportError(
                "HuggingFaceDataset needs the package datasets: pip install 'looc_mm[datasets]'"
            ) from error
        if not os.path.isdir(self.data_root):
            raise FileNotFoundError(f'HuggingFaceDataset got {self.data_root!r}; there is no such folder.')
        try:
            found = datasets.load_from_disk(self.data_root)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'HuggingFaceDataset got {self.data_root!r}, which save_to_disk did not write. Write it once: '
                f'datasets.load_dataset(NAME).save_to_disk({self.data_root!r})'
            ) from error
        splits = list(found) if isinstance(found, datasets.DatasetDict) else None
        if splits is None and self.split is None:
            return found
        if self.split not in (splits or ()):
            allowed = f'one of {splits}' if splits else 'None, for it is a single dataset'
            raise ValueError(f'HuggingFaceDataset got split={self.split!r} for {self.data_root!r}; allowed: {allowed}.')
        return found[self.split]

    def _image_column(self, table: Any) -> str:
        """The column of the pictures."""
        import datasets

        def is_picture(feature: Any) -> bool:
            return isinstance(feature, datasets.Image) or getattr(feature, 'dtype', '') in ('binary', 'large_binary')

        columns = [name for name, feature in table.features.items() if is_picture(feature)]
        if self.image is None and len(columns) == 1:
            return columns[0]
        if self.image is None or self.image not in columns:
            raise ValueError(
                f'HuggingFaceDataset got image={self.image!r} for {self.data_root!r}; its columns of pictures are '
                f'{columns}, of {list(table.features)}.'
            )
        return self.image

    def _labels(self, table: Any) -> list[int]:
        """Labels of all rows; sets the names of the classes, if they have names."""
        import datasets

        feature = table.features.get(self.label)
        kind = getattr(feature, 'dtype', '')
        named, texts = isinstance(feature, datasets.ClassLabel), kind in ('string', 'large_string')
        if not named and not texts and not kind.startswith(('int', 'uint')):
            problem = f'which is {feature}' if feature else f'which is none of {list(table.features)}'
            raise ValueError(
                f'HuggingFaceDataset got label={self.label!r}, {problem}; allowed is a column of class labels, whole '
                f'numbers or texts.'
            )
        values = table.with_format(None)[self.label][:]
        names = list(feature.names) if named else sorted({*values} - {None}) if texts else None
        if any(value is None or (not texts and value < 0) for value in values):
            raise ValueError(f'{self.data_root!r} has rows without a label in the column {self.label!r}: remove them.')
        if names is not None and self.CLASSES is None:
            self._metainfo['classes'] = tuple(names)
        return [names.index(value) for value in values] if texts and names is not None else values
