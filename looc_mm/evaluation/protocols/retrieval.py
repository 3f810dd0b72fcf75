"""Figure 3: nearest neighbours by V and by each space, and what they share with the query.

Shapes: N gallery images, M queries, C feature width, k neighbours.
"""

from collections.abc import Iterator

import numpy as np
import torch

from looc_mm.evaluation.nearest import nearest
from looc_mm.evaluation.source import FeatureSource
from looc_mm.registry import PROTOCOLS
from looc_mm.visualization import Neighbour, draw_neighbours

from .base import Drawing, Protocol, Score, check_label


@PROTOCOLS.register_module()
class Retrieval(Protocol):
    """Exact search by cosine, test images as queries in the training images, every image turned at random.

    Args:
        k: Number of neighbours, at most the number of training images.
        pictures: Queries that are drawn with their neighbours, spread over the test set.
        shown: Neighbours of each that are drawn.
        rotate: Turn every image by a random right angle, so that neighbours can share or not share the rotation.
        seed: Not used; the angles are the source's.
    """

    per_representation = False
    name = 'retrieval'

    def __init__(self, k: int = 10, pictures: int = 4, shown: int = 5, rotate: bool = True, seed: int = 0) -> None:
        if not 1 <= shown <= k:
            raise ValueError(f'Retrieval got k={k}, shown={shown}; at least 1 neighbour is shown, and at most k.')
        super().__init__(seed=seed)
        self.k = k
        self.pictures = pictures
        self.shown = shown
        self.rotate_train = self.rotate_test = 'random' if rotate else None

    def unsuitable(self, source: FeatureSource) -> str | None:
        """There must be as many training images as neighbours."""
        images = len(source.dataset('train'))
        return None if images >= self.k else f'it needs k={self.k} training images, and there are {images}'

    def run(self, source: FeatureSource) -> Iterator[Score | Drawing]:
        """Percentage of neighbours that share each label with their query, by V and by each space; and a figure."""
        gallery = source.feature_set('train', self.rotate_train)
        queries = source.feature_set('test', self.rotate_test)
        classes_of = {label: values for label, values in gallery.labels.items() if not values.is_floating_point()}
        for label in classes_of:
            check_label(label, gallery, queries)
        neighbours = {name: nearest(x, queries.parts[name], self.k)[1] for name, x in gallery.parts.items()}  # M x k
        for name, rows in neighbours.items():
            for label, values in classes_of.items():
                shared = values[rows] == queries.labels[label][:, None]
                value = 100 * shared.double().mean().item()
                yield Score(f'same {label}@{self.k}', value, representation='V' if name == 'V' else [name])

        turned = gallery.labels.get('rotation'), queries.labels.get('rotation')
        classes = gallery.labels.get('gt_label'), queries.labels.get('gt_label')
        names = (getattr(source.dataset('train'), 'metainfo', None) or {}).get('classes', ())

        def picture(split: str, index: int, query: int | None = None) -> Neighbour:
            side = int(split == 'test')
            image, turns, labels = source.image(split, index), turned[side], classes[side]
            if turns is not None:
                image = np.rot90(image, int(turns[index]))  # as it was embedded
            if labels is None or classes[1] is None:
                return Neighbour(image)
            label = int(labels[index])
            name = str(names[label]) if label < len(names) else f'class {label}'
            return Neighbour(image, name, None if query is None else label == int(classes[1][query]))

        number = len(queries.parts[next(iter(neighbours))])
        drawn = []
        for query in torch.linspace(0, number - 1, min(self.pictures, number)).long().tolist():
            found = {
                name: [picture('train', each, query) for each in rows[query, : self.shown].tolist()]
                for name, rows in neighbours.items()
            }
            drawn.append((picture('test', query), found))
        yield Drawing('retrieval.png', draw_neighbours(drawn, turned=self.rotate_test is not None))
