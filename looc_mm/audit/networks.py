"""The models of an audit, each a function from views to representations.

Shapes
    B  views        C  width        h, w  a view
"""

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from looc_mm.checkpoint import build_model, check_fit, load_weights, random_weights, read_checkpoint
from looc_mm.configs import find_config, is_config
from looc_mm.export.features import need
from looc_mm.models.representation import frozen, pooled, preprocess, representations, select
from looc_mm.models.space_figures import not_learnt
from looc_mm.registry import MODELS

PRETRAINED = 'pretrained'
LIBRARIES = ('timm', 'torchvision')


@dataclass
class Network:
    """A frozen network.

    Attributes:
        name: For the table.
        module: The network.
        encode: From normalised images (B, 3, h, w) to (B, C) of each representation, by name.
        normalise: From images in [0, 1] to normalised ones.
        untrained: Makes the same network with random weights.
        stages: The modules whose pooled outputs are more representations, by name.
        not_learnt: Spaces that the training did not learn.
    """

    name: str
    module: nn.Module
    encode: Callable[[nn.Module, Tensor], dict[str, Tensor]]
    normalise: Callable[[nn.Module, Tensor], Tensor]
    untrained: Callable[[], nn.Module]
    stages: tuple[str, ...] = ()
    not_learnt: tuple[str, ...] = ()

    def representations(self, images: Tensor) -> dict[str, Tensor]:
        """Every representation of views in [0, 1], (B, 3, h, w): 'V', 'Z_<space>', and the stages, (B, C) each."""
        with frozen(self.module), _recorded(self.module, self.stages) as outputs:
            device = next(self.module.parameters()).device
            found = self.encode(self.module, self.normalise(self.module, images.to(device)))
        return {name: each.float().cpu() for name, each in {**found, **outputs}.items()}

    def random(self, seed: int) -> 'Network':
        """The same network with random weights, of which V alone is read."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = self.untrained().to(next(self.module.parameters()).device)
        return Network('random weights', module, _first(self.encode), self.normalise, self.untrained)

    def with_stages(self) -> 'Network':
        """The same network, and each of its stages.

        Raises:
            ValueError: No stages are found.
        """
        root: Any = getattr(self.module, 'backbone', self.module)
        prefix = 'backbone.' if root is not self.module else ''
        names = [name for name, _ in root.named_children() if re.fullmatch(r'layer\d+', name)]
        for group in ('stages', 'layers', 'blocks', 'features'):
            if not names and isinstance(getattr(root, group, None), nn.Sequential | nn.ModuleList):
                names = [f'{group}.{name}' for name, _ in getattr(root, group).named_children()]
        if not names:
            raise ValueError(
                f'--layers: {type(root).__name__} has no layer1, layer2, ..., and no list of modules named stages, '
                f'layers, blocks or features. Leave --layers out.'
            )
        self.stages = tuple(prefix + name for name in names)
        return self


def _first(
    encode: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> Callable[[nn.Module, Tensor], dict[str, Tensor]]:
    return lambda module, images: {'V': encode(module, images)['V']}


@contextmanager
def _recorded(module: nn.Module, stages: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """The pooled outputs of some modules, (B, C), of the forward pass inside the block."""
    outputs: dict[str, Tensor] = {}
    hooks = []
    for name in stages:

        def record(_: nn.Module, __: Any, output: Any, name: str = name) -> None:
            last = output[-1] if isinstance(output, tuple | list) else output
            outputs[name.removeprefix('backbone.')] = last.mean(1) if last.ndim == 3 else pooled(last)

        hooks.append(module.get_submodule(name).register_forward_hook(record))
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def of_model(module: Any, name: str, untrained: Callable[[], nn.Module] | None = None) -> Network:
    """A model of looc_mm or MMPreTrain, which has a ``data_preprocessor``.

    Args:
        module: The model.
        name: For the table.
        untrained: Makes a copy with random weights; by default a copy of ``module`` is initialised again.
    """

    def encode(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
        found = representations(model, images)
        spaces = {f'Z_{space}': each for space, each in found.items() if space != 'V'}
        return {'V': select(found), **spaces}

    def normalise(model: Any, images: Tensor) -> Tensor:
        ours = hasattr(model.data_preprocessor, 'normalise')
        return model.data_preprocessor.normalise(images) if ours else preprocess(model, {'inputs': images * 255})

    return Network(name, module, encode, normalise, untrained or (lambda: random_weights(copy.deepcopy(module))))


def load_networks(models: Sequence[str], weights: Sequence[str] = (), trust: bool = False) -> list[Network]:
    """Read the models of a command line.

    Args:
        models: Checkpoints or work dirs of looc_mm; configs of looc_mm or MMPreTrain, timm/NAME or torchvision/NAME,
            which take their weights from ``weights``.
        weights: Files, in the order of the models that take one; 'pretrained' for the published ones of timm or
            torchvision, which these download.
        trust: Whether files may run code.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: The number of weights does not fit, a model is given twice, or a file does not fit its model.
    """
    takers = [each for each in models if _takes_weights(each)]
    if len(takers) != len(weights):
        raise ValueError(
            f'Got {len(weights)} --weights for {len(takers)} models that need them ({", ".join(takers) or "none"}): '
            f'give one for each config, timm/NAME and torchvision/NAME, in their order; "pretrained" downloads '
            f'those of the library. Checkpoints and work dirs of looc_mm have theirs.'
        )
    rest = iter(weights)
    networks = [_load(each, next(rest) if _takes_weights(each) else None, trust) for each in models]
    names = [each.name for each in networks]
    for network, model in zip(networks, models, strict=True):
        if names.count(network.name) > 1:
            network.name += f' {Path(model).name}'
    if len({each.name for each in networks}) < len(networks):
        raise ValueError(f'Got a model twice: {models}. Give each one once.')
    return networks


def _takes_weights(model: str) -> bool:
    return model.partition('/')[0] in LIBRARIES and not Path(model).exists() or is_config(model)


def _load(model: str, weights: str | None, trust: bool) -> Network:
    if weights is not None and is_config(model):
        return _of_config(model, weights, trust)
    if weights is not None:
        return _of_library(model, weights)
    checkpoint = read_checkpoint(model, trust)
    module = build_model(checkpoint)
    load_weights(module, checkpoint)
    name = checkpoint.experiment or Path(checkpoint.path).resolve().parent.name
    network = of_model(module, name, lambda: random_weights(build_model(checkpoint)))
    network.not_learnt = tuple(f'Z_{space}' for space in not_learnt(checkpoint.states))
    return network


def _of_config(model: str, weights: str, trust: bool) -> Network:
    cfg = Config.fromfile(find_config(model))
    if 'model' not in cfg:
        raise ValueError(f'The config {model} has no `model`; give a pretraining config.')

    def build() -> nn.Module:
        with DefaultScope.overwrite_default_scope('looc_mm'):
            return MODELS.build(copy.deepcopy(cfg.model))

    module = build()
    load_weights(module, read_checkpoint(weights, trust))
    return of_model(module, Path(model).stem, lambda: random_weights(build()))


def _of_library(model: str, weights: str) -> Network:
    """timm/NAME or torchvision/NAME without its classifier."""
    library, _, name = model.partition('/')
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    create = _timm(name) if library == 'timm' else _torchvision(name)
    module = create(weights == PRETRAINED)
    if library == 'timm':
        mean, std = module.default_cfg['mean'], module.default_cfg['std']
    if weights != PRETRAINED:
        given = read_checkpoint(weights).state_dict
        check_fit(module.state_dict(), given, weights)
        module.load_state_dict({key: value for key, value in given.items() if key in module.state_dict()}, strict=False)
    center, scale = (torch.tensor(each).view(3, 1, 1) for each in (mean, std))
    return Network(
        model,
        module,
        lambda network, images: {'V': pooled(network(images))},
        lambda network, images: (images - center.to(images)) / scale.to(images),
        lambda: create(False),
    )


def _timm(name: str) -> Callable[[bool], Any]:
    timm = need('timm', 'timm')
    if not timm.is_model(name):
        raise ValueError(f'timm has no model {name!r}; timm.list_models("*") has the names.')
    return lambda pretrained: timm.create_model(name, pretrained=pretrained, num_classes=0)


def _torchvision(name: str) -> Callable[[bool], Any]:
    import torchvision

    if name not in (known := torchvision.models.list_models(torchvision.models)):
        raise ValueError(f'torchvision has no classifier {name!r}; it has {", ".join(known)}.')

    def create(pretrained: bool) -> Any:
        module: Any = torchvision.models.get_model(name, weights='DEFAULT' if pretrained else None)
        for head in ('fc', 'classifier', 'head', 'heads'):
            if hasattr(module, head):
                setattr(module, head, nn.Identity())
                return module
        raise ValueError(
            f'{name} of torchvision has no fc, classifier, head or heads to leave out; take another model.'
        )

    return create
