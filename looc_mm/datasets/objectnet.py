"""ObjectNet's 13 classes that IN-100 has too, for classifiers of IN-100 (appendix B)."""

from typing import Any, ClassVar

from looc_mm.registry import DATASETS, TRANSFORMS
from looc_mm.stack import BaseTransform

from .checks import Part, require_folders
from .folder import ImageFolder
from .in100 import WNIDS

#: ObjectNet's folder to the ImageNet class that its authors map it to. Where they name several, IN-100 has one of
#: them: of chairs the rocking chair, of helmets the football helmet, of wheels the car wheel.
FOLDERS = {
    'bench': 'n03891251',
    'bottle_cap': 'n02877765',
    'chair': 'n04099969',
    'helmet': 'n03379051',
    'iron_for_clothes': 'n03584829',
    'jeans': 'n03594734',
    'keyboard': 'n03085013',
    'lampshade': 'n03637318',
    'laptop_open': 'n03642806',
    'mixing_salad_bowl': 'n03775546',
    'safety_pin': 'n04127249',
    'vacuum_cleaner': 'n04517823',
    'wheel': 'n02974003',
}


@DATASETS.register_module()
class ObjectNet13(ImageFolder):
    """ObjectNet's pictures of 13 classes, under IN-100's labels: a classifier is scored over its 100 logits.

    ObjectNet is a test set, and its licence forbids to train on it.

    Args:
        data_root: The folder ``objectnet-1.0``, with ``images/<folder>/*.png`` in it.
        **kwargs: The other arguments of ``ImageFolder``; there are always labels.

    Raises:
        FileNotFoundError: Some of the 13 folders are not there, or have no images.
    """

    METAINFO = {'classes': WNIDS}
    alias = 'objectnet'
    published: ClassVar[dict[str, Part]] = {'test': Part(None, len(FOLDERS), {})}

    def __init__(self, data_root: str, **kwargs: Any) -> None:
        super().__init__(data_root, data_prefix='images', with_label=True, extensions=('.png',), **kwargs)

    def class_folders(self) -> list[str]:
        """The 13 folders, sorted."""
        require_folders(self.img_prefix, list(FOLDERS), self._message)
        return list(FOLDERS)

    def load_data_list(self) -> list[dict]:
        """List ``img_path`` and ``gt_label``, an index into IN-100's sorted wnids."""
        samples = super().load_data_list()
        names = list(FOLDERS)
        empty = set(names) - {names[sample['gt_label']] for sample in samples}
        if empty:
            raise FileNotFoundError(self._message(f'no .png images of {" ".join(sorted(empty))}'))
        for sample in samples:
            sample['gt_label'] = WNIDS.index(FOLDERS[names[sample['gt_label']]])
        return samples


@TRANSFORMS.register_module()
class CropBorder(BaseTransform):
    """Cut the same number of pixels from each side: ObjectNet's pictures have a red frame, to be cut before resizing.

    Args:
        pixels: Width of the border. ObjectNet's frame is one pixel wide; two are customary.

    Raises:
        ValueError: ``pixels`` is below 1.
    """

    def __init__(self, pixels: int = 2) -> None:
        if pixels < 1:
            raise ValueError(f'CropBorder got pixels={pixels}; it needs at least 1. Leave it out to crop nothing')
        self.pixels = pixels

    def transform(self, results: dict) -> dict:
        """Crop ``img`` (H, W, 3) to (H - 2 * pixels, W - 2 * pixels, 3), and set ``img_shape`` to that.

        Raises:
            ValueError: Nothing would be left of the image.
        """
        height, width = results['img'].shape[:2]
        if min(height, width) <= 2 * self.pixels:
            raise ValueError(
                f'CropBorder(pixels={self.pixels}) leaves nothing of {results.get("img_path", "an image")!r}, '
                f'{width} x {height} pixels; it belongs before the resize, on whole ObjectNet pictures'
            )
        results['img'] = results['img'][self.pixels : -self.pixels, self.pixels : -self.pixels]
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        """Show the arguments."""
        return f'CropBorder(pixels={self.pixels})'
