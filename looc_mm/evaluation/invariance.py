"""How far every space moves under every augmentation: the picture that says whether LooC has worked.

Shapes
    B  images        A  augmentations        R  representations: V and the spaces        C  width of one
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from looc_mm.models.representation import all_representations, frozen
from looc_mm.registry import PROTOCOLS
from looc_mm.views import LeaveOneOutPipeline

from .protocol import Data, FrozenProtocol, record


@PROTOCOLS.register_module()
class InvarianceMatrix(FrozenProtocol):
    """The mean cosine between two views of an image that differ in one augmentation alone.

    1 is invariant. A space that LooC left an augmentation out of should be lowest in its column.

    Args:
        images: Test images to look at, the first ones.
        seed: Of the view tables.
    """

    name = 'invariance'

    def __init__(self, images: int = 512, seed: int = 0) -> None:
        self.images = images
        self.seed = seed

    def run(self, data: Data) -> list[dict[str, Any]]:
        """One figure for each representation and augmentation, and ``invariance.png``.

        Raises:
            ValueError: If the model makes no views itself.
        """
        preprocessor = data.model.data_preprocessor
        if not hasattr(preprocessor, 'pipeline'):
            raise ValueError(f'InvarianceMatrix reads the views of LeaveOneOutPreprocessor, not {type(preprocessor)}.')
        canvas = torch.stack([data.sample('test', i)['inputs'] for i in range(min(self.images, data.size('test')))])
        rows, matrix = invariance(data.model, canvas, self.seed)
        columns = [each.name for each in preprocessor.pipeline.augmentations]
        draw_matrix(matrix, rows, columns).savefig(Path(data.folder) / 'invariance.png', dpi=150)
        return [
            record(f'cosine/{column}', matrix[r, c].item(), representation='V' if row == 'V' else [row])
            for r, row in enumerate(rows)
            for c, column in enumerate(columns)
        ]


def invariance(model: nn.Module, canvas: Tensor, seed: int = 0, batch_size: int = 64) -> tuple[list[str], Tensor]:
    """Mean cosines between views that differ in one augmentation, over the images on which it drew two values.

    Args:
        model: Has the preprocessor and the spaces of :class:`looc_mm.models.multi_head.MultiHead`.
        canvas: (B, channels, H, W) uint8.
        seed: Of the view table.
        batch_size: Images at a time.

    Returns:
        Names of the representations, and (R, A).
    """
    preprocessor: Any = model.data_preprocessor
    pipeline = LeaveOneOutPipeline(preprocessor.pipeline.augmentations, leave_one_out=[])
    generator = torch.Generator().manual_seed(seed)
    names: list[str] = []
    total = count = torch.zeros(())
    with frozen(model):
        for images in canvas.split(batch_size):
            images = images.to(preprocessor.device)
            table = pipeline.sample(len(images), generator, images.shape[-2:])
            sums, numbers = [], []
            for augmentation in pipeline.augmentations:
                other = {**table['q'], augmentation.name: table['k_0'][augmentation.name]}
                views = preprocessor.normalise(pipeline.apply(images, {'q': table['q'], 'k_0': other}))
                q, k = (all_representations(model, view) for view in views)
                names = list(q)
                drawn = zip(table['q'][augmentation.name].values(), other[augmentation.name].values(), strict=True)
                moved = torch.stack([(a != b).reshape(len(a), -1).any(1) for a, b in drawn]).any(0).to(images.device)
                cosine = torch.stack([F.cosine_similarity(q[name].float(), k[name].float()) for name in names])  # R x B
                sums.append((cosine * moved).sum(1).cpu())
                numbers.append(moved.sum().cpu())
            total = total + torch.stack(sums, 1)
            count = count + torch.stack(numbers)
    return names, total / count.clamp_min(1)


def draw_matrix(matrix: Tensor, rows: list[str], columns: list[str]) -> Figure:
    """The matrix as a heat map with its numbers."""
    figure = Figure(figsize=(1.6 + 0.8 * len(columns), 1.3 + 0.5 * len(rows)), layout='constrained')
    axis = figure.subplots()
    axis.imshow(matrix.numpy(), vmin=min(0.0, matrix.min().item()), vmax=1, cmap='viridis', aspect='auto')
    axis.set_xticks(range(len(columns)), columns, rotation=30, ha='right')
    axis.set_yticks(range(len(rows)), [row if row == 'V' else f'Z: {row}' for row in rows])
    for r in range(len(rows)):
        for c in range(len(columns)):
            dark = matrix[r, c] < 0.6
            axis.text(c, r, f'{matrix[r, c]:.2f}', ha='center', va='center', color='white' if dark else 'black')
    axis.set_title('cosine of two views that differ in one augmentation', fontsize=9)
    return figure
