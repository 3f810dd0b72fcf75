"""Figure 3: nearest neighbours by V and by each space, and what they share with the query.

Shapes: N gallery images, M queries, C feature width, k neighbours.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from looc_mm.registry import PROTOCOLS

from .nearest import nearest
from .protocol import Data, FrozenProtocol, record


@PROTOCOLS.register_module()
class Retrieval(FrozenProtocol):
    """Exact search by cosine, test images as queries in the training images, every image turned at random.

    Args:
        k: Number of neighbours, at most the number of training images.
        pictures: Queries that are drawn with their neighbours, spread over the test set.
        shown: Neighbours of each that are drawn.
        rotate: Turn every image by a random right angle, so that neighbours can share or not share the rotation.
        seed: Not used; the turns are the loop's.
    """

    name = 'retrieval'

    def __init__(self, k: int = 10, pictures: int = 4, shown: int = 5, rotate: bool = True, seed: int = 0) -> None:
        if not 1 <= shown <= k:
            raise ValueError(f'Retrieval got k={k}, shown={shown}; at least 1 neighbour is shown, and at most k.')
        self.k = k
        self.pictures = pictures
        self.shown = shown
        self.rotate = 'random' if rotate else None

    def run(self, data: Data) -> list[dict[str, Any]]:
        """Percentage of neighbours that share each label with their query, by V and by each space."""
        gallery, queries = data.bank('train', self.rotate), data.bank('test', self.rotate)
        records, neighbours = [], {}
        for name in gallery.parts:
            _, neighbours[name] = nearest(gallery.parts[name], queries.parts[name], self.k)  # M x k
            for label, values in gallery.labels.items():
                shared = values[neighbours[name]] == queries.labels[label][:, None]
                value = 100 * shared.double().mean().item()
                representation: Any = 'V' if name == 'V' else [name]
                records.append(record(f'same {label}@{self.k}', value, representation=representation))
        self.draw(data, neighbours, gallery.labels.get('rotation'), queries.labels.get('rotation'))
        return records

    def draw(self, data: Data, neighbours: dict[str, Tensor], gallery: Tensor | None, queries: Tensor | None) -> None:
        """Each query, and its nearest by every representation, into ``retrieval.png``."""
        number = len(next(iter(neighbours.values())))
        chosen = torch.linspace(0, number - 1, min(self.pictures, number)).long().tolist()
        figure = Figure(figsize=(1.3 * (1 + self.shown), 1.1 * len(chosen) * len(neighbours)), layout='constrained')
        rows = figure.subplots(len(chosen) * len(neighbours), 1 + self.shown, squeeze=False)
        for axis in rows.flat:
            axis.set_axis_off()
        for line, axes in enumerate(rows):
            query, name = chosen[line // len(neighbours)], list(neighbours)[line % len(neighbours)]
            if line % len(neighbours) == 0:
                axes[0].imshow(turned(data.picture('test', query), queries, query))
                axes[0].set_title('query', fontsize=8)
            label = name if name == 'V' else f'Z: {name}'
            axes[1].text(-0.12, 0.5, label, rotation=90, ha='center', va='center', transform=axes[1].transAxes, size=8)
            for axis, index in zip(axes[1:], neighbours[name][query, : self.shown].tolist(), strict=True):
                axis.imshow(turned(data.picture('train', index), gallery, index))
        figure.savefig(Path(data.folder) / 'retrieval.png', dpi=120)


def turned(picture: np.ndarray, turns: Tensor | None, index: int) -> np.ndarray:
    """A picture, (H, W, 3), as it was embedded."""
    return picture if turns is None else np.rot90(picture, int(turns[index]))
