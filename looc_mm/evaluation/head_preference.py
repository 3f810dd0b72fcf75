"""Figure 4: which spaces a classifier relies on, image by image and over a dataset.

Shapes: N images, H heads (spaces), D dimensions of one, K classes.
"""

from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from looc_mm.registry import PROTOCOLS

from .linear import LinearProbe
from .protocol import Data, record


@PROTOCOLS.register_module()
class HeadPreference(LinearProbe):
    """Activation times weight of every head, for correctly classified test images.

    The classifier reads all spaces, concatenated. Its weights are taken relative to their mean over the classes, as
    adding the same to every class changes no decision; figures with the weights as they are stand beside (``raw``).

    Args:
        pictures: Images whose own histograms are drawn beside the dataset's.
        **kwargs: As of `LinearProbe`.
    """

    name = 'head_preference'

    def __init__(self, pictures: int = 7, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pictures = pictures

    def run(self, data: Data) -> list[dict[str, Any]]:
        """Mean share and wins of each head in percent, and the entropy of the mean shares in bits.

        Raises:
            ValueError: If the model has no spaces, or no test image is classified correctly.
        """
        train, test = data.bank('train'), data.bank('test')
        spaces = train.spaces
        if not spaces:
            raise ValueError('HeadPreference compares spaces, and the model has none.')
        features = test.choose(spaces)
        self.fit_for(train.choose(spaces), features)
        labels = features.labels[self.label]
        correct = (self.predict(features.x).argmax(1) == labels).nonzero()[:, 0]
        if not len(correct):
            raise ValueError('HeadPreference looks at correctly classified images, and there is none.')
        widths = [test.parts[space].shape[1] for space in spaces]
        records = []
        for raw in (False, True):
            weight = self.weight if raw else self.weight - self.weight.mean(0)
            shares = preference(features.x[correct].to(weight), weight, labels[correct], widths)  # N x H
            mean = shares.mean(0)
            wins = torch.bincount(shares.argmax(1), minlength=len(spaces)) / len(shares)
            prefix = 'raw ' if raw else ''
            records += [record(f'{prefix}share/{s}', 100 * mean[i].item()) for i, s in enumerate(spaces)]
            records += [record(f'{prefix}wins/{s}', 100 * wins[i].item()) for i, s in enumerate(spaces)]
            records.append(record(f'{prefix}entropy', entropy(mean)))
            if not raw:
                self.draw(data, spaces, shares, correct)
        return [{**each, 'representation': spaces} for each in records]

    def draw(self, data: Data, spaces: list[str], shares: Tensor, rows: Tensor) -> None:
        """The dataset's histogram, and those of images spread over it, into ``head_preference.png``."""
        chosen = torch.linspace(0, len(rows) - 1, min(self.pictures, len(rows))).long().tolist()
        figure = Figure(figsize=(2 * (1 + len(chosen)), 3.6), layout='constrained')
        axes = figure.subplots(2, 1 + len(chosen), squeeze=False, sharey='row')
        for column, (title, values) in enumerate(
            [
                (f'{data.dataset}, mean:\n{entropy(shares.mean(0)):.2f} bits', shares.mean(0)),
                *((None, shares[i]) for i in chosen),
            ]
        ):
            axes[0, column].set_axis_off()
            if column:
                axes[0, column].imshow(data.picture('test', int(rows[chosen[column - 1]])), aspect='equal')
            else:
                axes[0, column].text(0.5, 0.4, title, ha='center', va='center', transform=axes[0, column].transAxes)
            axes[1, column].bar(range(len(spaces)), values.cpu().numpy(), color=[f'C{i}' for i in range(len(spaces))])
            axes[1, column].set_xticks(range(len(spaces)), spaces, rotation=60, ha='right', fontsize=8)
            axes[1, column].set_ylim(0, 1)
        axes[1, 0].set_ylabel('share of the decision')
        figure.savefig(Path(data.folder) / 'head_preference.png', dpi=150)


def preference(features: Tensor, weight: Tensor, labels: Tensor, widths: list[int]) -> Tensor:
    """p_h = max(c_h, 0) / sum of max(c, 0), with c_h = sum over head h's dimensions of W[y, d] f[d].

    Args:
        features: (N, sum of widths).
        weight: (K, sum of widths).
        labels: (N,) the class y of each.
        widths: D of each head.

    Returns:
        (N, H), rows add up to 1; equal shares where no head speaks for the class.
    """
    products = features * weight[labels]
    c = torch.stack([part.sum(1) for part in products.split(widths, 1)], 1).clamp_min(0)  # N x H
    total = c.sum(1, keepdim=True)
    return torch.where(total > 0, c / total.clamp_min(1e-12), 1 / len(widths))


def entropy(shares: Tensor) -> float:
    """-sum p log2 p in bits."""
    return -torch.special.xlogy(shares, shares).sum().item() / torch.log(torch.tensor(2.0)).item()
