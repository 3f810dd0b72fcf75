"""The one reader of checkpoints: for evaluation, export, resuming, ``load_from`` and ``init_cfg``.

A file runs no code unless it is trusted: it is read as plain values, its config as literals, and its model is built
from the types of looc_mm and the named ones of MMPreTrain only. MMEngine reads through this file too: its own loaders,
which run the code of a file in some of its versions, are replaced when this module is imported.
"""

import os
import pickle
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger, print_log
from mmengine.model import PretrainedInit, update_init_info
from mmengine.registry import DefaultScope
from mmengine.runner.checkpoint import CheckpointLoader, load_state_dict
from torch import Tensor, nn

from looc_mm.files import last_checkpoint
from looc_mm.models.representation import representation_state
from looc_mm.registry import MODELS, WEIGHT_INITIALIZERS
from looc_mm.stored_config import plain_model
from looc_mm.untrusted import SHARED, LimitedMemory, check_sizes, refused_calls
from looc_mm.whole import check_finite, check_whole

#: Weights that MMPreTrain's transformers fit to another image size when they are loaded.
RESIZED = ('pos_embed', 'rel_pos', 'relative_position', 'attn_mask')
TRUST = 'pass --trust-checkpoint'  # what to do with pickled objects
#: Bytes that a network may have beside those of its weights.
NETWORK = 2**26


@dataclass
class Checkpoint:
    """What a file holds.

    Attributes:
        path: The file.
        state_dict: Weights and buffers by name, without the prefix of a wrapper.
        config_text: The training config as Python; None if the file has none.
        experiment: Name of the training config; None if the file does not say it.
        epoch: Finished epochs; None if the file does not say it.
        states: Of every space how far the training got: 'learning', 'not yet' or 'collapsed'; empty if not known.
        trusted: Whether the file may run code.
        meta: All that the file says of its training.
    """

    path: str
    state_dict: dict[str, Tensor]
    config_text: str | None = None
    experiment: str | None = None
    epoch: int | None = None
    trusted: bool = False
    states: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model_config(self) -> dict[str, Any]:
        """The config of the model.

        Raises:
            ValueError: There is none, or it needs trust.
        """
        if not self.config_text:
            raise ValueError(
                f'{self.path} holds no training config, from which its model would be built: define `model` in the '
                f"evaluation config, or give a file of tools/train.py: {{'state_dict': ..., 'meta': {{'cfg': text}}}}."
            )
        if self.trusted:
            model = Config.fromstring(self.config_text, '.py').to_dict().get('model')  # runs custom_imports, too
        else:
            try:
                model = plain_model(self.config_text)
            except SyntaxError as error:
                raise ValueError(f'The training config in {self.path} cannot be read as Python: {error}.') from error
            except ValueError as error:
                raise ValueError(
                    f'The training config in {self.path} is more than plain values with known types: {error}. If a '
                    f'file of yours defines the type, pass --plugin FILE.py. If you trust the origin of the '
                    f'checkpoint, pass --trust-checkpoint, which runs the code that it names.'
                ) from error
        if not isinstance(model, dict):
            raise ValueError(f'The training config in {self.path} has no `model`: define one in the evaluation config.')
        return model


def read_checkpoint(path: str | Path, trust: bool = False) -> Checkpoint:
    """Read a checkpoint of tensors and plain values.

    Args:
        path: The file, or a work dir, whose last checkpoint is read. MMEngine fetches what an address
            (``torchvision://resnet50``, ``https://...``) names.
        trust: Whether pickled objects may be loaded and the stored config may run. Both run code that the file brings.

    Returns:
        The checkpoint, on the CPU.

    Raises:
        FileNotFoundError: No such file, or no checkpoint in the work dir.
        ValueError: The file is truncated, damaged or no checkpoint, holds pickled objects that are not trusted, or
            weights that are NaN or infinite.
    """
    path = str(path)
    if '://' in path:
        content = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    else:
        path = str(find_checkpoint(path))
        content = read_file(path, trust)
    state_dict = weights_of(content)
    check_finite(state_dict, path)
    meta = content.get('meta') or {}
    experiment, epoch = meta.get('experiment_name'), meta.get('epoch')
    config_text, states = meta.get('cfg'), meta.get('spaces') or {}
    if not isinstance(config_text, str | None) or not isinstance(epoch, int | None) or not isinstance(states, dict):
        raise ValueError(f'{path} is no checkpoint of looc_mm: its cfg, epoch or spaces are of another type.')
    return Checkpoint(
        path=path,
        state_dict=state_dict,
        config_text=config_text,
        experiment=config_name(experiment) if isinstance(experiment, str) else None,
        epoch=epoch,
        trusted=trust,
        states=states,
        meta=meta,
    )


def read_file(path: str | Path, trust: bool = False, map_location: Any = 'cpu', remedy: str = TRUST) -> dict[str, Any]:
    """All that a checkpoint holds, after its checksums, its pickle and the sizes of its tensors have been checked.

    Args:
        path: The file.
        trust: Whether pickled objects may be loaded.
        map_location: As of ``torch.load``.
        remedy: What to do with pickled objects, for the message.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: As :func:`read_checkpoint`, apart from the weights.
    """
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'There is no checkpoint {path!r}.')
    check_whole(path)
    unreadable = f'{path} cannot be read: it is truncated or no checkpoint.'
    try:
        refused = [] if trust else refused_calls(path)
    except ValueError as error:
        raise ValueError(unreadable) from error
    if refused:
        raise ValueError(
            f'{path} holds pickled objects ({", ".join(refused[:3])[:200]}), and loading them runs code that the file '
            f'brings. If you trust its origin, {remedy}.'
        )
    try:
        content = torch.load(path, map_location=map_location, weights_only=not trust)
    except Exception as error:  # a file of another origin may hold anything
        raise ValueError(unreadable) from error
    if not trust:
        try:
            check_sizes(content, os.path.getsize(path))
        except ValueError as error:
            raise ValueError(f'{path} cannot be read: {error}.') from error
    return _checked(content, path)


def _checked(content: Any, path: str) -> dict[str, Any]:
    """What a file or address holds, if its outer parts are those of a checkpoint."""
    if not isinstance(content, dict):
        raise ValueError(f'{path} cannot be read: it is no checkpoint, but a {type(content).__name__}.')
    meta = content.get('meta')
    if not isinstance(meta, dict | None) or not isinstance(content.get('state_dict', {}), dict):
        raise ValueError(f'{path} cannot be read: it is no checkpoint, for its meta or state_dict is no dict.')
    if meta is not None:
        meta.pop('config', None)  # MMEngine runs it when it resumes
    return content


def _read_address(loader: Callable[..., Any]) -> Callable[..., Any]:
    """MMEngine's loader of addresses, for which PyTorch reads plain values whatever the loader asks for."""

    def read(filename: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            with patch.dict(os.environ, TORCH_FORCE_WEIGHTS_ONLY_LOAD='1'):
                return _checked(loader(filename, *args, **kwargs), filename)
        except pickle.UnpicklingError as error:
            raise ValueError(
                f'{filename} cannot be read: it is damaged or holds pickled objects, whose loading runs code.'
            ) from error

    return read


def _read_for_mmengine(filename: str, map_location: Any = None) -> dict[str, Any]:
    """A file for ``load_from``, ``resume`` and MMEngine's own functions."""
    remedy = (
        "write its weights into a file of their own: torch.save({'state_dict': torch.load(PATH, weights_only=False)"
        "['state_dict']}, OTHER)"
    )
    return read_file(filename, map_location=map_location, remedy=remedy)


for _prefix, _loader in [*CheckpointLoader._schemes.items()]:
    CheckpointLoader.register_scheme(_prefix, _read_address(_loader) if _prefix else _read_for_mmengine, force=True)


def config_name(experiment: str) -> str:
    """The name of a training's config, out of MMEngine's name of the run, which ends with the time."""
    return re.sub(r'_\d{8}_\d{6}$', '', experiment)


def weights_of(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights in what a file holds, by names without the prefix of a wrapper."""
    state_dict = content.get('state_dict', content)
    return {
        key.removeprefix('module.'): value
        for key, value in state_dict.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }


def load_model(path: str | Path, trust: bool = False) -> nn.Module:
    """The network of a checkpoint, built from the training config that the file holds.

    Args:
        path: A file that tools/train.py wrote.
        trust: Whether the file may run code; see :func:`read_checkpoint`.

    Returns:
        The whole model, on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file is broken, needs trust, holds no config, or not the weights of the config's model.
    """
    checkpoint = read_checkpoint(path, trust)
    model = build_model(checkpoint)
    load_weights(model, checkpoint)
    return model.eval()


def build_model(checkpoint: Checkpoint) -> nn.Module:
    """The network of the training config that a checkpoint holds, without its weights.

    Raises:
        ValueError: There is no config, it needs trust, or no network of about the size of the weights can be built.
    """
    config = checkpoint.model_config
    size = sum(each.numel() * each.element_size() for each in checkpoint.state_dict.values())
    limit = nullcontext() if checkpoint.trusted else LimitedMemory(SHARED * size + NETWORK)
    try:
        with DefaultScope.overwrite_default_scope('looc_mm'), limit:
            model = MODELS.build(config)
    except Exception as error:  # the config of another origin may hold anything
        raise ValueError(f'The model of the training config in {checkpoint.path} cannot be built: {error}') from error
    if not isinstance(model, nn.Module):
        raise ValueError(f'The training config in {checkpoint.path} defines no network, but a {type(model).__name__}.')
    return model


def find_checkpoint(run: str | Path) -> Path:
    """The last checkpoint of a work dir, or the file itself.

    Args:
        run: A work dir, which may have been moved since the training, or a checkpoint.

    Raises:
        FileNotFoundError: There is no such file or folder, or no checkpoint in it.
    """
    run = Path(run).expanduser()
    if run.is_file():
        return run
    if not run.is_dir():
        raise FileNotFoundError(f'There is no work dir or checkpoint {str(run)!r}.')
    found = last_checkpoint(run)
    if found is None:
        raise FileNotFoundError(f'The folder {str(run)!r} holds no checkpoint epoch_*.pth or iter_*.pth.')
    return found


def load_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Load the weights that features come from, V's and those of every space; others may be missing.

    Args:
        model: The model, not wrapped.
        checkpoint: The file.

    Raises:
        ValueError: A weight is missing or has another shape.
    """
    saved = model.state_dict()
    needed = {key: value for key, value in representation_state(model).items() if key in saved}
    matched = check_fit(_backbone(needed), checkpoint.state_dict, checkpoint.path)
    try:
        model.load_state_dict(checkpoint.state_dict, strict=False)
    except (ValueError, RuntimeError) as error:  # other spaces, other widths
        raise ValueError(f'{checkpoint.path} does not fit the model: {error}') from error
    heads = {key: value for key, value in needed.items() if key not in _backbone(needed)}
    if heads:
        matched += ', ' + check_fit(heads, checkpoint.state_dict, checkpoint.path, 'head')
    print_log(f'{checkpoint.path}: {matched}.', logger='current')


def random_weights(model: Any) -> nn.Module:
    """A network before any training: weights that its config reads from files are drawn too."""
    for module in model.modules():
        init = getattr(module, 'init_cfg', None)
        if init is not None:
            kept = [each for each in (init if isinstance(init, list) else [init]) if each.get('type') != 'Pretrained']
            module.init_cfg = kept
        if getattr(module, 'pretrained', False):  # TimmFeatures
            module.pretrained = False
    if hasattr(model, 'backbone_cfg'):  # from which the last stages of LooC++ are built
        model.backbone_cfg = {key: value for key, value in model.backbone_cfg.items() if key != 'pretrained'}
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('ERROR')  # it prints a paragraph for each weight
    try:
        model.init_weights()
    finally:
        logger.setLevel(level)
    return model.eval()


def check_fit(
    needed: Mapping[str, Tensor], given: Mapping[str, Tensor], path: str | Path, part: str = 'backbone'
) -> str:
    """Make sure that a file holds weights that are needed; MMEngine only warns.

    Args:
        needed: Those weights of the model.
        given: Weights of the file.
        path: The file, for messages.
        part: What the weights belong to, for messages.

    Returns:
        What matched, as text.

    Raises:
        ValueError: A weight is missing or has another shape.
    """
    # Old files of torchvision do not count batches.
    names = [key for key in needed if not key.endswith('num_batches_tracked')]
    wrong = [key for key in names if not _fits(key, needed[key], given.get(key))]
    if wrong:
        found = sorted({key.split('.')[0][:40] for key in given})
        raise ValueError(
            f'{path} does not fit the model: {len(names) - len(wrong)} of {len(names)} {part} weights match; the first '
            f'that is missing or differs in shape is {wrong[0]}. The names in the file begin with {found[:12]}. Is it '
            f'a checkpoint of this architecture?'
        )
    return f'{len(names)} of {len(names)} {part} weights match'


def check_training_start(model: nn.Module, given: Mapping[str, Tensor], path: str | Path, resume: bool) -> str:
    """Make sure that a training starts from the file that it was given.

    Args:
        model: The model that is trained, not wrapped.
        given: Weights of the file.
        path: The file, for messages.
        resume: Whether the training goes on; then every part of the model is needed, and else the backbone.

    Returns:
        What matched, as text.

    Raises:
        ValueError: A weight of the backbone, or in a resumed run a part of the model, is missing.
    """
    saved = model.state_dict()
    matched = check_fit(_backbone(saved), given, path)
    if resume:
        parts = {key.split('.')[0] for key in saved}
        if missing := sorted(parts - {key.split('.')[0] for key in given}):
            raise ValueError(
                f'{path} cannot be resumed: it holds no weights of {missing}. To start a new training from its '
                f'weights, leave --resume out and pass --cfg-options load_from={path}.'
            )
    return matched


@WEIGHT_INITIALIZERS.register_module(name='Pretrained')
class Pretrained(PretrainedInit):
    """``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``: MMEngine's, which raises on a misfit.

    Args:
        checkpoint: A file or address.
        prefix: What the names of the module's weights begin with in the file.
        map_location: Not used: files are read on the CPU.
    """

    def __call__(self, module: nn.Module) -> None:
        """Load the weights of the file into the module.

        Raises:
            ValueError: A weight is missing or has another shape.
        """
        prefix = self.prefix.removesuffix('.') + '.' if self.prefix else ''
        weights = read_checkpoint(self.checkpoint).state_dict
        chosen = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        try:
            matched = check_fit(_backbone(module.state_dict()), chosen, self.checkpoint)
        except ValueError as error:
            found = sorted({key.split('.')[0][:40] for key in weights})
            raise ValueError(
                f"{error} For a backbone out of a whole model's checkpoint set prefix='backbone.' in init_cfg; got "
                f'prefix={self.prefix!r}, and the file begins its names with {found[:12]}.'
            ) from error
        load_state_dict(module, chosen, strict=False, logger='current')
        print_log(f'{self.checkpoint}: {matched}.', logger='current')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())


def _backbone(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the backbone; all of them, where the module is one."""
    return {key: value for key, value in state.items() if key.startswith('backbone.')} or dict(state)


def _fits(name: str, own: Tensor, given: Tensor | None) -> bool:
    return given is not None and (own.shape == given.shape or any(part in name for part in RESIZED))
