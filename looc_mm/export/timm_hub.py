"""A folder that timm loads as a network of its own: weights, config and model card.

Shapes
    B  images of one batch        C  width of V        h, w  a view
"""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from looc_mm.models.representation import frozen, representations, resolve_spaces, select
from looc_mm.models.timm_features import need_timm

from .card import Training, model_card
from .features import need
from .network import about_network, backbone_state, branch, check_numbers, counterpart, random_pictures

FILES = ('model.safetensors', 'config.json', 'README.md')


def export_timm_hub(
    model: nn.Module,
    out: str | Path,
    training: Training,
    records: Iterable[Mapping[str, Any]] = (),
    license: str | None = None,
    spaces: Sequence[str] | None = None,
    size: int | None = None,
) -> dict[str, Any]:
    """Write the backbone for ``timm.create_model('local-dir:OUT', pretrained=True)``, with a model card.

    timm loads the files and its features are compared before they get their places. For TimmFeatures they are equal to
    the bit in the memory format of the model, ``torch.channels_last``.

    Args:
        model: As :func:`load_model` gives it, with TimmFeatures, or with a ResNet or ResNeXt that timm has.
        out: A folder; its model.safetensors, config.json and README.md are replaced.
        training: For the model card.
        records: Of ``results.json``, for the model card.
        license: For the model card.
        spaces: For LooC++ the one space whose last stage becomes the backbone's; else None.
        size: Side of the view in pixels; None for the size that the model was trained on.

    Returns:
        As :func:`looc_mm.export.export_state_dict`; ``difference`` is that of timm's network as it is loaded.

    Raises:
        ValueError: timm has no such network, or its features differ.
        ImportError: timm or safetensors is not installed.
    """
    timm, safetensors = need_timm(), need('safetensors.torch', 'safetensors')
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ValueError(f'--format timm-hub writes a folder, and {out} is a file. Give another name.')
    space = branch(model, spaces)
    names = ['V' if space is None else space]
    with frozen(model):
        state = {key.removeprefix('timm_model.'): each for key, each in backbone_state(model, space).items()}
        about = {**about_network(model, resolve_spaces(model, names), size), 'names': 'timm', 'compared_with': 'timm'}
        about['architecture'], _, _ = counterpart(model, state, 'timm')
        config = hub_config(model, about, license)
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f'.{out.name}.', dir=out.parent) as folder:
            part = Path(folder)
            (part / 'model.safetensors').write_bytes(safetensors.save(state, {'format': 'pt'}))
            (part / 'config.json').write_text(json.dumps(config, indent=2) + '\n')
            network = timm.create_model(f'local-dir:{part}', pretrained=True).eval()
            probe = random_pictures(model, about['view_size'], 2)
            own = select(representations(model, probe), names)
            network.to(probe.device)
            who, remedy = f'{about["architecture"]} of timm', 'Its settings differ; take ONNX.'
            about['difference'] = check_numbers(own, network(probe), who, remedy)
            again = network.to(memory_format=torch.channels_last)(probe.contiguous(memory_format=torch.channels_last))
            about['equal'] = torch.equal(own, again)
            (part / 'README.md').write_text(model_card(out.name, about, training, records, license))
            out.mkdir(exist_ok=True)
            for name in FILES:
                os.replace(part / name, out / name)
    return about


def hub_config(model: nn.Module, about: Mapping[str, Any], license: str | None) -> dict[str, Any]:
    """``config.json`` as timm reads it.

    Args:
        model: As :func:`load_model` gives it.
        about: What :func:`export_timm_hub` returns.
        license: Of the weights.
    """
    settings = dict(getattr(model.backbone, 'settings', {}))
    settings.pop('drop_path_rate', None)  # of a training
    stored = need_timm().get_pretrained_cfg(about['architecture']).to_dict()
    return {
        'architecture': about['architecture'],
        'num_classes': 0,
        'num_features': about['width'][0],
        'model_args': settings,
        'pretrained_cfg': {
            'tag': 'looc',
            'custom_load': False,
            'input_size': [3, about['view_size'], about['view_size']],
            'fixed_input_size': False,
            'interpolation': 'bilinear',
            'crop_pct': 0.875,  # short side to 8/7, middle square: as looc_mm reads pictures
            'crop_mode': 'center',
            'mean': about['mean'],
            'std': about['std'],
            'num_classes': 0,
            'first_conv': stored['first_conv'],
            'classifier': stored['classifier'],
            **({'license': license} if license else {}),
        },
    }
