"""LooC++ (section 3): the backbone's last stage, conv5, leaves the shared part and belongs to each head.

A backbone can be split if its stages are a chain of modules that it names in ``res_layers``: the ResNet family. A
backbone with a method ``take_last_stage`` splits itself; the stage's weights keep the names of the whole network.
"""

from mmengine.model import BaseModule
from torch import nn

from looc_mm.registry import MODELS
from looc_mm.stack import backbones


def take_last_stage(backbone: nn.Module) -> nn.Module:
    """Remove the last stage of a backbone, which then ends with the map before it.

    Args:
        backbone: Of the ResNet family, or with a method ``take_last_stage``; it is changed.

    Returns:
        The stage: (B, C', h', w') to (B, C, h'', w'').

    Raises:
        ValueError: If the backbone cannot be split.
    """
    if hasattr(backbone, 'take_last_stage'):
        return backbone.take_last_stage()  # type: ignore[operator]
    stages: list[str] = getattr(backbone, 'res_layers', [])  # type: ignore[assignment]
    if len(stages) < 2 or not hasattr(backbone, 'out_indices'):
        kinds = {name: getattr(backbones, name) for name in backbones.__all__}
        family = sorted(
            name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, backbones.ResNet)
        )
        raise ValueError(
            f'last_stage_per_space=True splits the last stage off the backbone, which {type(backbone).__name__} does '
            f'not allow. Allowed: {", ".join(family)}, or TimmFeatures; or leave last_stage_per_space out, which '
            f'is LooC.'
        )
    name = stages[-1]
    stage = getattr(backbone, name)
    delattr(backbone, name)
    vars(backbone).update(res_layers=list(stages[:-1]), out_indices=(len(stages) - 2,))
    return stage


def fresh_last_stage(backbone: dict) -> nn.Module:
    """The last stage of a newly built and initialised backbone, with pretrained weights if its config names some."""
    whole: BaseModule = MODELS.build(backbone)
    whole.init_weights()
    return take_last_stage(whole)
