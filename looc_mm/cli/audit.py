"""Measure which augmentations networks still know, on pictures without labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Plugins

if TYPE_CHECKING:
    from looc_mm.audit import Network
    from looc_mm.augmentations import AtomicAugmentation

STANDARD, CONFIG = 'standard', 'config'
#: Side of the canvases, as a multiple of the side of the views: a crop has fewer pixels than its picture.
CANVAS = 1.5


def audit(
    models: Sequence[str],
    pictures: str,
    *,
    weights: Sequence[str] = (),
    control: str | None = None,
    augmentations: Sequence[str] = (STANDARD,),
    layers: bool = False,
    count: int = 2000,
    hit_pictures: int = 100,
    size: int | None = None,
    out: str | None = None,
    seed: int = 0,
    batch_size: int = 64,
    workers: int = 0,
    device: str | None = None,
    trust_checkpoint: bool = False,
    plugin: Plugins = (),
) -> int:
    """Measure which augmentations networks still know, on pictures without labels.

    For example::

        looc audit runs/photos data/photos
        looc audit runs/moco runs/looc data/photos --control runs/control
        looc audit timm/resnet18 data/photos --weights resnet18.pth --size 128

    The results are tables, audit.json and the heat map audit.png. Random weights of the first model, pixel statistics
    and shuffled pairs are rows of each table. docs/audit.md explains them.

    Args:
        models: each a checkpoint or work dir of looc_mm, a config of looc_mm or MMPreTrain, timm/NAME or
            torchvision/NAME; "random" is in each table anyway
        pictures: folder of pictures, of any depth
        weights: checkpoints of the configs, timm/NAME and torchvision/NAME, in their order; "pretrained" downloads the
            published weights of timm or torchvision
        control: checkpoint or work dir of the all-invariant control, for one more reference row
        augmentations: "standard" for crop, rotation, flip, color and blur; "config" for those of the first
            model; or registered types such as Solarize, which follow a crop
        layers: a row for each stage of the backbones too
        count: most pictures to use, drawn from all; half of them are held out
        hit_pictures: held-out pictures with 50 views each, for the hit rate; 0 for none
        size: side of the views in pixels; default: that of the first model with views, else 224
        out: folder of the results; default: audit_<name of the pictures' folder> in the current folder
        seed: of all random choices
        batch_size: pictures at a time
        workers: decoding processes
        device: default: a GPU if there is one, else cpu
        trust_checkpoint: allow checkpoints to run code on loading
        plugin: import this file, which registers classes: augmentations, models, ...; may be given more than once

    Returns:
        0, or 1 if shuffled pairs are not at chance, so that the values are of no use.

    Raises:
        ValueError: A model, the pictures or an option does not fit.
        FileNotFoundError: A file or folder does not exist.
    """
    import looc_mm.audit as package
    from looc_mm.export import list_images
    from looc_mm.export.features import Pictures, default_device
    from looc_mm.plugins import load_files

    load_files(plugin)
    networks = package.load_networks([each for each in models if each != 'random'], weights, trust_checkpoint)
    if not networks:
        raise ValueError('Got no model but "random", whose network is that of the first model: give a model too.')
    (reference,) = package.load_networks([control], (), trust_checkpoint) if control else (None,)
    side = size or default_size(networks)
    images = Pictures(list_images(pictures), round(CANVAS * side))
    where = device or default_device()
    for network in [*networks, *([reference] if reference else [])]:
        network.module.to(where)
    found = package.audit(
        [each.with_stages() for each in networks] if layers else networks,
        images,
        choose_augmentations(augmentations, networks, side),
        control=reference,
        count=count,
        hit_pictures=hit_pictures,
        seed=seed,
        batch_size=batch_size,
        workers=workers,
    )
    folder = Path(out) if out else Path(f'audit_{Path(pictures).expanduser().resolve().name}')
    package.write(found, folder)
    print(f'{found.table()}\n\n{folder / "audit.json"}, {folder / "audit.png"}')
    return 1 if found.broken else 0


def default_size(networks: 'Sequence[Network]') -> int:
    """Side of the views of the first network that makes views; 224 if none does."""
    from looc_mm.export.features import view_size

    for network in networks:
        if hasattr(getattr(network.module, 'data_preprocessor', None), 'pipeline'):
            return view_size(network.module)
    return 224


def choose_augmentations(asked: Sequence[str], networks: 'Sequence[Network]', size: int) -> 'list[AtomicAugmentation]':
    """The augmentations of an audit.

    Raises:
        ValueError: The first model makes no views, or a type is unknown.
    """
    from looc_mm.audit.pairs import standard_augmentations
    from looc_mm.audit.protocol import own_augmentations
    from looc_mm.augmentations import RandomResizedCrop
    from looc_mm.registry import AUGMENTATIONS

    if list(asked) == [STANDARD]:
        return standard_augmentations(size)
    if list(asked) == [CONFIG]:
        own = own_augmentations(networks[0].module)
        if not own:
            raise ValueError(f'{networks[0].name} makes no views: leave "--augmentations config" out.')
        return own
    AUGMENTATIONS.import_from_location()
    if unknown := [name for name in asked if name not in AUGMENTATIONS.module_dict]:
        raise ValueError(
            f'--augmentations got {unknown}; allowed are {STANDARD}, {CONFIG}, or some of '
            f'{", ".join(sorted(AUGMENTATIONS.module_dict))}. --plugin FILE.py adds yours.'
        )
    return [
        RandomResizedCrop(size=size, scale=(0.4, 1.0)),
        *(AUGMENTATIONS.build({'type': name}) for name in asked if name != 'RandomResizedCrop'),
    ]
