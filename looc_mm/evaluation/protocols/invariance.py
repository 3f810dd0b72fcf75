"""How far every space moves under every augmentation: the figure that shows whether LooC has worked.

Shapes
    B  images        A  augmentations        R  representations: V and the spaces        C  width of one
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import default_collate

from looc_mm.evaluation.source import FeatureSource
from looc_mm.models.representation import frozen, representations
from looc_mm.registry import PROTOCOLS
from looc_mm.views import LeaveOneOutPipeline
from looc_mm.visualization import draw_matrix

from .base import Drawing, Protocol, Score


@PROTOCOLS.register_module()
class InvarianceMatrix(Protocol):
    """The mean cosine between two views of an image that differ in one augmentation alone.

    1 is invariant. A space that LooC left an augmentation out of should be lowest in its column.

    Args:
        images: Test images to look at, the first ones.
        seed: Of the view tables.
    """

    per_representation = False
    name = 'invariance'

    def __init__(self, images: int = 512, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.images = images

    def unsuitable(self, source: FeatureSource) -> str | None:
        """The model must make its views."""
        found = hasattr(source.model.data_preprocessor, 'pipeline')
        return None if found else 'the model makes no views: it has no LeaveOneOutPreprocessor'

    def run(self, source: FeatureSource) -> Iterator[Score | Drawing]:
        """One score for each representation and augmentation, and a figure, which marks spaces that learnt nothing."""
        data: Any = source.dataset('test')
        batch = default_collate([data[i] for i in range(min(self.images, len(data)))])
        rows, matrix = invariance(source.model, batch['inputs'], self.seed, candidates=batch.get('candidates'))
        pipeline: Any = source.model.data_preprocessor.pipeline  # type: ignore[union-attr]
        columns = [each.name for each in pipeline.augmentations]
        for r, row in enumerate(rows):
            for c, column in enumerate(columns):
                if matrix[r, c].isnan():
                    continue
                yield Score(f'cosine/{column}', matrix[r, c].item(), representation='V' if row == 'V' else [row])
        labels = [f'{row}\n({source.states[row]})' if row in source.not_learnt else row for row in rows]
        yield Drawing('invariance.png', draw_matrix(matrix, labels, columns))


def invariance(
    model: nn.Module, canvas: Tensor, seed: int = 0, batch_size: int = 64, candidates: Tensor | None = None
) -> tuple[list[str], Tensor]:
    """Mean cosines between views that differ in one augmentation, over the images on which it drew two values.

    Args:
        model: Has the preprocessor and the spaces of :class:`looc_mm.models.multi_head.MultiHead`.
        canvas: (B, 3, H, W) uint8.
        seed: Of the view table.
        batch_size: Images at a time.
        candidates: (B, K, 3, H, W) uint8, for ``StylizedTexture``.

    Returns:
        Names of the representations, and (R, A); NaN for an augmentation that drew equal values for all images.
    """
    preprocessor: Any = model.data_preprocessor
    pipeline = LeaveOneOutPipeline(preprocessor.pipeline.augmentations, leave_one_out=[])
    generator = torch.Generator().manual_seed(seed)
    names: list[str] = []
    total = count = torch.zeros(())
    with frozen(model):
        for start in range(0, len(canvas), batch_size):
            rows = slice(start, start + batch_size)
            images = canvas[rows].to(preprocessor.device)
            some = None if candidates is None else candidates[rows].to(preprocessor.device)
            table = pipeline.sample(len(images), generator, images.shape[-2:])
            sums, numbers = [], []
            for augmentation in pipeline.augmentations:
                other = {**table['q'], augmentation.name: table['k_0'][augmentation.name]}
                views = preprocessor.normalise(pipeline.apply(images, {'q': table['q'], 'k_0': other}, some))
                q, k = (representations(model, view) for view in views)
                names = list(q)
                drawn = zip(table['q'][augmentation.name].values(), other[augmentation.name].values(), strict=True)
                moved = torch.stack([(a != b).reshape(len(a), -1).any(1) for a, b in drawn]).any(0).to(images.device)
                cosine = torch.stack([F.cosine_similarity(q[name].float(), k[name].float()) for name in names])  # R x B
                sums.append((cosine * moved).sum(1).cpu())
                numbers.append(moved.sum().cpu())
            total = total + torch.stack(sums, 1)
            count = count + torch.stack(numbers)
    return names, total / count
