"""Any image network of timm as a backbone.

Shapes
    B  images        C  width of V        h, w  a view        h', w', C'  what goes into the last stage
"""

import copy
import difflib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from textwrap import shorten
from types import ModuleType
from typing import Any, NamedTuple

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from looc_mm.registry import MODELS

HUB, FOLDER = 'hf-hub:', 'local-dir:'
#: Files of weights in a folder, as timm names them.
WEIGHTS = ('model.safetensors', 'pytorch_model.bin')
#: Settings with which a network takes pictures of any size; networks without them take any size already.
ANY_SIZE = {'dynamic_img_size': True, 'dynamic_img_pad': True}
#: Largest difference between two means or deviations that are the same, for pixels in [0, 1].
SAME = 2e-3


class Split(NamedTuple):
    """Where a class of timm's networks is split for LooC++.

    Attributes:
        last: The last stage, or the sequence whose last part is taken.
        share: Which part of the sequence: 4 for the last quarter; None for its last entry, 0 for all of it.
        after: What follows the stage in ``forward_features``.
        head: What ``forward_head`` uses.
    """

    last: str
    share: int | None
    after: tuple[str, ...]
    head: tuple[str, ...]


SPLITS = {
    'ResNet': Split('layer4', 0, (), ('global_pool', 'fc')),
    'RegNet': Split('s4', 0, ('final_conv',), ('head',)),
    'ConvNeXt': Split('stages', None, ('norm_pre',), ('head',)),
    'EdgeNeXt': Split('stages', None, ('norm_pre',), ('head',)),
    'SwinTransformer': Split('layers', None, ('norm',), ('head',)),
    'VisionTransformer': Split('blocks', 4, ('norm',), ('attn_pool', 'fc_norm', 'head_drop', 'head')),
}


def need_timm() -> ModuleType:
    """timm.

    Raises:
        ImportError: It is not installed; with the command that installs it.
    """
    try:
        import timm
    except ImportError as error:
        raise ImportError("TimmFeatures needs timm: pip install 'looc_mm[timm]', or pip install timm") from error
    return timm


def check_name(name: str) -> str:
    """The name of an architecture, without the tag of its weights.

    Args:
        name: 'resnet18', or with a tag of its weights 'resnet18.a1_in1k'.

    Raises:
        ValueError: timm has no such network or no such tag; with the nearest names.
        ImportError: timm is not installed.
    """
    timm = need_timm()
    architecture, _, tag = name.partition('.')
    known = timm.list_models()
    if architecture not in known:
        near = difflib.get_close_matches(architecture, known, 5)
        meant = f'The nearest names are {", ".join(near)}. ' if near else ''
        raise ValueError(
            f"timm {timm.__version__} has no network {name!r}. {meant}timm.list_models('*part*') lists names."
        )
    tags = [each.partition('.')[2] for each in timm.list_pretrained(architecture)]
    if tag and tag not in tags:
        raise ValueError(f'timm has no weights {name!r}. Allowed: {architecture}, or with a tag {", ".join(tags)}.')
    return architecture


@MODELS.register_module()
class TimmFeatures(BaseModule):
    """A network of timm without its classifier: ``backbone=dict(type='TimmFeatures', name='resnet18')``.

    ``neck.in_channels`` can be left out. Pretrained weights are loaded when the training begins. They need their own
    mean and deviation in ``data_preprocessor``; other values are an error.

    Args:
        name: As :func:`timm.list_models` gives it; a tag of its weights may follow, 'resnet18.a1_in1k'.
        pretrained: False for random weights, True for timm's from the hub, or where they are: 'hf-hub:OWNER/NAME', a
            folder with config.json ('local-dir:' may come first), or a file .safetensors or .pth.
        img_size: Side of the pictures in pixels, for networks with a position embedding or windows; None for the side
            of the views. Other sizes work too if the network allows it.
        global_pool: How the last map becomes a vector, such as 'avg' or 'token'; None for the network's own.
        drop_path_rate: Probability to skip the last block of a network in training; earlier blocks have less.
        init_cfg: MMEngine's, such as ``dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.

    Raises:
        ImportError: timm is not installed.
        ValueError: timm has no such network, or the network does not take a setting or a size.
    """

    def __init__(
        self,
        name: str,
        pretrained: bool | str = False,
        img_size: int | None = None,
        global_pool: str | None = None,
        drop_path_rate: float | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        check_name(name)
        self.name, self.pretrained = name, pretrained
        self.asked = {'img_size': img_size, 'global_pool': global_pool, 'drop_path_rate': drop_path_rate}
        self.timm_model, self.settings = _create(name, self.asked)
        vars(self.timm_model).update(is_init=True)  # timm initialises a network when it builds it
        self.split: Split | None = None

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """(B, 3, h, w) to V, (B, C); without the last stage to what the stage takes, (B, ..., ..., C') or (B, C', ...).

        Tokens, (B, N, C'), become (B, 1, N, C').
        """
        if self.split is None:
            return (self.timm_model(images),)
        features = self.timm_model.forward_features(images)  # type: ignore[operator]
        return (features[:, None] if features.ndim == 3 else features,)

    def init_weights(self) -> None:
        """Load the pretrained weights, if there are any.

        Raises:
            ValueError: They cannot be read, or are those of another network.
        """
        if self.init_cfg:
            super().init_weights()
        elif self.pretrained:
            weights = load_pretrained(self.name, self.pretrained, self.settings)
            own = self.timm_model.state_dict()
            self.timm_model.load_state_dict({key: weights[key] for key in own})
            print_log(f'TimmFeatures: {self.name} starts with {_where(self.name, self.pretrained)}.', logger='current')
        self._is_init = True

    def take_last_stage(self) -> nn.Module:
        """Split off the last stage, or the last quarter of a ViT's blocks, for LooC++.

        Returns:
            The stage with what follows it: an output of :meth:`forward` to (B, C).

        Raises:
            ValueError: The network cannot be split.
        """
        kind = type(self.timm_model).__name__
        if kind not in SPLITS:
            raise ValueError(
                f'last_stage_per_space=True splits the last stage off the backbone, which {self.name} ({kind} of timm) '
                f"does not allow. Allowed are timm's classes {', '.join(SPLITS)}; or leave last_stage_per_space out, "
                f'which is LooC.'
            )
        network, split = self.timm_model, SPLITS[kind]
        stage = TimmStage(network, split)
        chain = network.get_submodule(split.last)
        if split.share == 0:
            setattr(network, split.last, nn.Identity())
        else:
            assert isinstance(chain, nn.Sequential)
            setattr(network, split.last, chain[: _first_taken(chain, split)])
        for name in (*split.after, *split.head):
            if isinstance(getattr(network, name, None), nn.Module):
                setattr(network, name, nn.Identity())
        self.split = split
        return stage

    @classmethod
    def for_views(cls, config: Mapping[str, Any], preprocessor: nn.Module, side: int | None) -> dict[str, Any]:
        """The config for views of a size and normalisation.

        Args:
            config: Of the backbone.
            preprocessor: Makes and normalises the views.
            side: Of the views in pixels; None if it is not known.

        Raises:
            ValueError: The pretrained weights need another normalisation.
        """
        if config.get('pretrained'):
            check_statistics(config['name'], config['pretrained'], preprocessor, side)
        return {**config, 'img_size': config.get('img_size') or side}

    @cached_property
    def _layers(self) -> dict[str, int]:
        from timm.models import group_parameters

        found: dict[str, int] = group_parameters(self.timm_model, self.timm_model.group_matcher(), reverse=True)  # type: ignore[operator]
        return found

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """The layer of a weight and the number of layers, for MMPreTrain's LearningRateDecayOptimWrapperConstructor.

        Args:
            param_name: Of the model.
            prefix: What the names of the backbone's weights begin with.

        Returns:
            Layers as timm groups them, 0 for the first; everything outside of the backbone is in the last one.
        """
        last = max(self._layers.values())
        return self._layers.get(param_name.removeprefix(f'{prefix}timm_model.'), last), last + 1


class TimmStage(nn.Module):
    """The last stage of a network of timm, with the norm, pooling and head that follow it; names are the network's.

    Args:
        network: The whole network; it is not changed.
        split: Where it is split.
    """

    def __init__(self, network: nn.Module, split: Split) -> None:
        super().__init__()
        chain = network.get_submodule(split.last)
        last = chain if split.share == 0 else chain[_first_taken(chain, split) :]  # type: ignore[index]
        names = [name for name in (*split.after, *split.head) if isinstance(getattr(network, name, None), nn.Module)]
        shell = copy.copy(network)  # has the network's forward_head and the settings that it reads
        modules = {split.last: last, **{name: getattr(network, name) for name in names}}
        vars(shell).update(_modules=modules, _parameters={}, _buffers={})
        self.timm_model, self.split = shell, split

    def forward(self, features: Tensor) -> Tensor:
        """What the shortened network gives to (B, C)."""
        x = features[:, 0] if self.split.share == 4 else features
        for name in (self.split.last, *self.split.after):
            x = self.timm_model.get_submodule(name)(x)
        return self.timm_model.forward_head(x)  # type: ignore[operator]


def _first_taken(chain: Any, split: Split) -> int:
    """The first entry of a sequence of blocks that belongs to the last stage."""
    return len(chain) - (max(1, len(chain) // split.share) if split.share else 1)


def _create(name: str, asked: Mapping[str, Any], **options: Any) -> tuple[nn.Module, dict[str, Any]]:
    """Build a network without classifier for pictures of any size, and the settings that it took.

    Raises:
        ValueError: It does not take a setting that was asked for, or not its value.
    """
    timm = need_timm()
    settings = {key: value for key, value in {**ANY_SIZE, **asked}.items() if value is not None}
    while True:
        try:
            return timm.create_model(name, num_classes=0, **settings, **options), settings
        except TypeError as error:
            found = re.search(r"unexpected keyword argument '(\w+)'", str(error))
            if found is None or found[1] not in {*ANY_SIZE, 'img_size'} & set(settings):
                raise ValueError(
                    f'timm does not build {name} with {settings}: {error}. Leave the setting out.'
                ) from error
            del settings[found[1]]
        except (AssertionError, ValueError) as error:
            raise ValueError(f'timm does not build {name} with {settings}: {error or type(error).__name__}') from error


def load_pretrained(name: str, pretrained: bool | str, settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a network without classifier, fitted to its size by timm.

    Args:
        name: Of timm.
        pretrained: As of :class:`TimmFeatures`.
        settings: With which the network is built.

    Raises:
        ValueError: They cannot be read, or are those of another network.
    """
    timm = need_timm()
    where = _where(name, pretrained)
    if pretrained is True or str(pretrained).startswith(HUB):
        source = name if pretrained is True else pretrained
        try:
            return timm.create_model(source, pretrained=True, num_classes=0, **settings).state_dict()
        except Exception as error:  # the hub's client raises errors of many types
            raise ValueError(
                f'{where} cannot be loaded: {shorten(str(error), 300).rstrip(".")}. Without a connection to the hub, '
                f'copy the weights to this machine and name the folder or the file: --weights of "looc pretrain", or '
                f'pretrained of TimmFeatures. docs/backbones.md has the commands.'
            ) from error
    path = _path(pretrained)
    from timm.models import load_state_dict

    file = next((path / each for each in WEIGHTS if (path / each).is_file()), path)
    try:
        state = load_state_dict(str(file))  # runs no code of the file
    except Exception as error:  # pickle, zip and safetensors have errors of their own
        raise ValueError(f'{where} cannot be read: {error}') from error
    classifiers = timm.get_pretrained_cfg(name).classifier or ()
    classifiers = (classifiers,) if isinstance(classifiers, str) else classifiers
    state = {key: each for key, each in state.items() if key.rpartition('.')[0] not in classifiers}
    overlay = {'state_dict': state, 'num_classes': 0, 'custom_load': False}
    try:
        network = timm.create_model(name, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay, **settings)
    except (RuntimeError, KeyError) as error:
        raise ValueError(
            f'{where} do not fit {name}: {shorten(str(error), 300)}. For the backbone out of a checkpoint of looc '
            f"train, use init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')."
        ) from error
    return network.state_dict()


def weights_config(name: str, pretrained: bool | str) -> dict[str, Any]:
    """timm's settings of pretrained weights: ``mean``, ``std``, ``input_size`` and others.

    Args:
        name: Of timm.
        pretrained: As of :class:`TimmFeatures`, not False.

    Raises:
        ValueError: There are no such weights, or they are those of another network.
    """
    timm = need_timm()
    architecture = check_name(name)
    if pretrained is True or not str(pretrained).startswith(HUB):
        config = timm.get_pretrained_cfg(name).to_dict()
        if pretrained is True:
            if not (config.get('url') or config.get('hf_hub_id')):
                raise ValueError(f'timm has no pretrained weights of {name}; leave pretrained out, or give a file.')
            return config
        path = _path(pretrained)
        if path.is_file():
            return config
        stored = json.loads((path / 'config.json').read_text())
        found, config = stored['architecture'], stored.get('pretrained_cfg', stored)
    else:
        try:
            config, found, _ = timm.models.load_model_config_from_hf(str(pretrained).removeprefix(HUB))
        except Exception as error:  # the hub's client raises errors of many types
            raise ValueError(f'{_where(name, pretrained)} cannot be loaded: {error}') from error
    if found.partition('.')[0] != architecture:
        raise ValueError(f'{_where(name, pretrained)} are those of {found}, and the backbone is {name}.')
    return config


def check_statistics(name: str, pretrained: bool | str, preprocessor: nn.Module, side: int | None) -> None:
    """Make sure that views are normalised as pretrained weights need it; warn if their size is another.

    Args:
        name: Of timm.
        pretrained: As of :class:`TimmFeatures`, not False.
        preprocessor: Has ``mean`` and ``std``, of pixels in [0, 1] or up to 255.
        side: Of the views in pixels; None if it is not known.

    Raises:
        ValueError: Mean or deviation differ.
    """
    config = weights_config(name, pretrained)
    for key in ('mean', 'std'):
        needed, own = torch.tensor(config[key]), getattr(preprocessor, key).flatten().cpu()
        own = own / 255 if own.max() > 1 else own
        if (needed - own).abs().max() > SAME:
            raise ValueError(
                f'{_where(name, pretrained)} need pictures with {key}={_numbers(needed)}, and the data preprocessor '
                f'has {key}={_numbers(own)}. Set model.data_preprocessor to '
                f'mean={_numbers(torch.tensor(config["mean"]))}, '
                f'std={_numbers(torch.tensor(config["std"]))}.'
            )
    trained = config['input_size'][-1]
    if side is not None and side != trained:
        print_log(
            f'{_where(name, pretrained)} were trained on pictures of {trained} px, and the views have {side} px: the '
            f'features of a pretrained network are best near its own size.',
            logger='current',
        )


def _numbers(values: Tensor) -> list[float]:
    return [round(value, 4) for value in values.tolist()]


def _where(name: str, pretrained: bool | str) -> str:
    return f"timm's weights of {name}" if pretrained is True else f'the weights in {pretrained}'


def _path(pretrained: bool | str) -> Path:
    """The folder or file of weights.

    Raises:
        ValueError: There is none.
    """
    path = Path(str(pretrained).removeprefix(FOLDER)).expanduser()
    if not path.exists() or (path.is_dir() and not (path / 'config.json').is_file()):
        what = 'has no config.json' if path.is_dir() else 'does not exist'
        raise ValueError(
            f'TimmFeatures got pretrained={pretrained!r}, which {what}. Allowed: True, {HUB}OWNER/NAME, a folder with '
            f'config.json and model.safetensors, or a file of weights.'
        )
    return path
