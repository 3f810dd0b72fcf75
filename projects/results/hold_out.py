"""Link the training pictures of a dataset as nine tenths and a held-out tenth, so that a search never sees val.

python projects/results/hold_out.py data/imagenette data/search/imagenette
"""

import random
import sys
from pathlib import Path


def hold_out(dataset: Path, out: Path, seed: int = 0) -> None:
    """Make ``out/{train,val}/<class>/`` of links to ``dataset/train/<class>/``: a tenth of each class goes to val."""
    for kind in sorted(each for each in (dataset / 'train').iterdir() if each.is_dir()):
        pictures = sorted(each for each in kind.iterdir() if each.is_file())
        held = set(random.Random(f'{seed} {kind.name}').sample(pictures, len(pictures) // 10))
        for picture in pictures:
            link = out / ('val' if picture in held else 'train') / kind.name / picture.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(picture.resolve())


if __name__ == '__main__':
    hold_out(Path(sys.argv[1]), Path(sys.argv[2]))
