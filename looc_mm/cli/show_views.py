"""Draw the views q, k_0 and k_i that a config makes of pictures."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looc_mm.configs import find_config

from .arguments import Options, Plugins

if TYPE_CHECKING:
    from mmengine.config import Config


def show_views(
    config: str | Path,
    images: Sequence[str] = (),
    *,
    out: str | Path = 'views.png',
    rows: int = 4,
    seed: int = 0,
    plugin: Plugins = (),
    cfg_options: Options = None,
) -> None:
    """Draw the views that a config makes.

    Below each view is what was done to make it: "crop 62 x 48 %, 90°, hue +0.10".

    For example::

        looc show-views looc_r50_in100 photo.jpg --out views.png
        looc show-views looc_r50_folder pictures/ --seed 3  # random ones of a folder
        looc show-views looc_factors  # random ones of the config's own training data

    Args:
        config: path or name of a pretraining config
        images: pictures, and folders and lists of pictures; left out: the config's training data
        out: picture to write
        rows: how many pictures of each folder or of the training data, chosen at random
        seed: of this choice and of the view table
        plugin: import this file, which registers classes: augmentations, models, ...; may be given more than once
        cfg_options: override config entries

    Raises:
        ValueError: The config makes no views, or a picture cannot be decoded.
        FileNotFoundError: A picture or a plug-in does not exist, or a folder has no pictures.
    """
    from matplotlib.figure import Figure
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from looc_mm.config_check.check import check_config
    from looc_mm.config_check.options import merge_options
    from looc_mm.multichannel import share_channels
    from looc_mm.plugins import load_files
    from looc_mm.registry import TRANSFORMS
    from looc_mm.visualization import draw_views

    load_files(plugin)
    cfg = Config.fromfile(find_config(config))
    merge_options(cfg, cfg_options or {})
    share_channels(cfg)
    check_config(cfg, cfg_options)
    init_default_scope(cfg.get('default_scope', 'looc_mm'))
    if 'pipeline' not in (cfg.get('model') or {}).get('data_preprocessor', {}):
        raise ValueError(f'{config} has no model.data_preprocessor.pipeline, which makes the views.')
    pipeline = TRANSFORMS.build(cfg.model.data_preprocessor.pipeline)
    samples = load(cfg, images, rows, seed)
    figure = Figure(figsize=(1.6 * (1 + len(pipeline.views)), 2.2 * len(samples) + 0.5), layout='constrained')
    draw_views(figure, pipeline, samples, seed)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)
    print(f'{len(samples)} rows of {", ".join(pipeline.views)}: {out}')


def load(cfg: 'Config', paths: Sequence[str], rows: int, seed: int) -> list[dict[str, Any]]:
    """What the workers hand on: canvases with the originals' sizes."""
    from looc_mm.datasets import ImageFolder
    from looc_mm.datasets.list_file import is_list
    from looc_mm.registry import DATASETS, TRANSFORMS

    draw = random.Random(seed)
    if not paths:
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        return [dataset[row] for row in draw.sample(range(len(dataset)), min(rows, len(dataset)))]
    found: list[str] = []
    for path in paths:
        if not Path(path).is_dir() and not is_list(path):
            found.append(path)
            continue
        folder = ImageFolder(data_root=path)
        found += [folder[row]['img_path'] for row in draw.sample(range(len(folder)), min(rows, len(folder)))]
    steps = [TRANSFORMS.build(step) for step in cfg.train_dataloader.dataset.pipeline]
    samples: list[dict[str, Any]] = [{'img_path': str(path)} for path in found]
    for step in steps:
        samples = [step(sample) for sample in samples]
    return samples
