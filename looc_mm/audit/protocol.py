"""The audit as a protocol, for ``looc test`` and ``Monitor``."""

from collections.abc import Iterator
from typing import ClassVar

import torch

from looc_mm.augmentations import AtomicAugmentation, StylizedTexture
from looc_mm.evaluation.protocols.base import Drawing, Protocol, Score
from looc_mm.evaluation.source import FeatureSource
from looc_mm.registry import PROTOCOLS

from .audit import LEAST_PICTURES, audit
from .networks import of_model
from .pairs import standard_augmentations
from .report import draw_audit


@PROTOCOLS.register_module(name='Audit')
class AuditProtocol(Protocol):
    """Which augmentations can be read from each representation: ``looc audit`` on the test pictures.

    The augmentations are the model's own; a model that makes no views has the standard ones.

    Args:
        pictures: Most test pictures that are used.
        hit_pictures: Held-out pictures for the hit rate; 0 leaves it out.
        seed: Of all random choices.
    """

    per_representation = False
    name: ClassVar[str] = 'audit'

    def __init__(self, pictures: int = 1000, hit_pictures: int = 0, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.pictures, self.hit_pictures = pictures, hit_pictures

    def unsuitable(self, source: FeatureSource) -> str | None:
        """There must be enough test pictures."""
        count = min(self.pictures, len(source.dataset('test')))
        return None if count >= LEAST_PICTURES else f'it needs {LEAST_PICTURES} test pictures and got {count}'

    def run(self, source: FeatureSource) -> Iterator[Score | Drawing]:
        """The scores of each representation, reference and augmentation, and the heat map.

        Raises:
            ValueError: Shuffled pairs are not at chance.
        """
        data = source.dataset('test')
        network = of_model(source.model, source.name)
        network.not_learnt = tuple(f'Z_{space}' for space in source.not_learnt)
        augmentations = own_augmentations(source.model) or standard_augmentations(data[0]['inputs'].shape[-1])
        with torch.random.fork_rng():
            found = audit(
                [network],
                data,
                augmentations,
                count=self.pictures,
                hit_pictures=self.hit_pictures,
                seed=self.seed,
            )
        if found.broken:
            raise ValueError(f'The audit is broken; shuffled pairs are not at chance: {"; ".join(found.broken)}.')
        for cell in found.cells:
            values = {'auc_cosine': cell.cosine, 'auc_probe': cell.probe, 'hit': cell.hit, 'r2': cell.r2}
            for metric, value in values.items():
                if value is not None:
                    row = cell.representation
                    shown = 'V' if row == 'V' else [row.removeprefix('Z_')]
                    yield Score(
                        f'{metric}/{cell.augmentation}', value.value, value.high - value.value, representation=shown
                    )
        yield Drawing('audit.png', draw_audit(found))


def own_augmentations(model: torch.nn.Module) -> list[AtomicAugmentation]:
    """The augmentations of a model's views, without stylized textures, which need candidates; empty for no views."""
    pipeline = getattr(getattr(model, 'data_preprocessor', None), 'pipeline', None)
    return [each for each in getattr(pipeline, 'augmentations', []) if not isinstance(each, StylizedTexture)]
