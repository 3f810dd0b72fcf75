"""Evaluate a pretrained model on frozen features: ``looc test CONFIG CHECKPOINT`` or ``looc test RUN LABELLED``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looc_mm.configs import find_config, is_config

from .arguments import Launcher, Options, Plugins, UsageError

if TYPE_CHECKING:
    from mmengine.config import Config

    from looc_mm.checkpoint import Checkpoint

CACHE = 'work_dirs/features'


def test(
    config: str | Path,
    checkpoint: str | Path,
    *,
    work_dir: str | Path | None = None,
    spaces: Sequence[str] = (),
    protocols: Sequence[str] = (),
    seed: int = 0,
    cache: str = CACHE,
    data_root: str | None = None,
    allow_missing_classes: bool = False,
    amp: bool = False,
    trust_checkpoint: bool = False,
    plugin: Plugins = (),
    cfg_options: Options = None,
    launcher: Launcher = 'none',
    sizes: Sequence[int] = (),
    group: str | None = None,
    workers: int = 0,
    values: str | None = None,
) -> dict[str, float]:
    """Evaluate a pretrained model on frozen features.

    With a work dir or checkpoint and a folder of labelled pictures, the result is a comparison of V, the spaces and
    baselines without training (random weights, a colour histogram, HOG), and a sentence that recommends one.

    For example::

        looc test work_dirs/looc data/labelled  # <class>/ or {train,val}/<class>/
        looc test work_dirs/looc data/faces --values faces.csv:age  # the columns path and age
        looc test linear_eval/imagenette work_dirs/looc/epoch_200.pth
        looc test linear_eval/imagenette looc_r18_imagenette  # random weights, a baseline
        looc test linear_eval/imagenette work_dirs/looc/epoch_200.pth --protocols knn few_shot  # or all

    Args:
        config: path or name of an evaluation config; a model in it takes precedence over the checkpoint's. Or a work
            dir, whose last checkpoint is taken, or a checkpoint
        checkpoint: checkpoint or its work dir, or a pretraining config for its model with random weights. After a work
            dir or checkpoint: the folder of labelled pictures
        work_dir: where the results go; default: work_dirs/<folder or protocols>/<config>/<run>_<checkpoint>, and for
            labelled pictures <run>/answer_<folder>
        spaces: probe each of these: "V" (the default), a space, spaces joined by "+" (their concatenation), or "all"
            (each space)
        protocols: run these instead of those of the config: linear, knn, few_shot, ... or "all" that suit the model
        seed: random seed
        cache: folder of extracted features, found again by weights, data and transform; "none" for none
        data_root: folder of the images of both splits; default: that of the config's dataloaders
        allow_missing_classes: score a test that lacks pictures of some classes; they are counted and named
        amp: extract features in mixed precision
        trust_checkpoint: allow the checkpoint to run code on loading
        plugin: import this file, which registers classes: augmentations, models, ...; may be given more than once
        cfg_options: override config entries, e.g. test_dataloader.batch_size=64; a value whose place holds a text is
            taken as typed
        launcher: how the processes were started
        sizes: for labelled pictures: sides of the views in pixels to choose from; default: 1, 1.5 and 2 times the
            training's
        group: for labelled pictures: a regex whose first group names the object in the path of a picture; pictures of
            one object stay on one side of a split
        workers: for labelled pictures: decoding processes
        values: FILE.csv or FILE.csv:COLUMN (default: value): predict this number of each picture of the folder; the
            column path has the files, relative to the folder

    Returns:
        The value of each metric, by its name; for labelled pictures the linear top-1 of each representation, for
        numbers its R².

    Raises:
        ValueError: The config, the checkpoint or an option does not fit.
        FileNotFoundError: The checkpoint or a plug-in does not exist.
    """
    from mmengine.dist import is_main_process
    from mmengine.model import is_model_wrapper
    from mmengine.runner import Runner

    from looc_mm.checkpoint import load_weights, random_weights, read_checkpoint
    from looc_mm.config_check.check import check_config
    from looc_mm.config_check.options import data_root_options, merge_options
    from looc_mm.engine.launch import explain_shared_memory, setup_launch
    from looc_mm.evaluation.unwritable import writable_folder
    from looc_mm.multichannel import share_channels
    from looc_mm.plugins import load_files

    load_files(plugin)
    if Path(config).exists() and not is_config(config):
        if spaces or protocols or cfg_options or cache != CACHE or data_root or launcher != 'none':
            raise UsageError('--spaces, --protocols, --cache, --data-root, --cfg-options and --launcher need a config')
        from looc_mm.answer import answer, answer_values

        common: dict[str, Any] = dict(
            sizes=sizes, group=group, seed=seed, workers=workers, amp=amp, trust_checkpoint=trust_checkpoint
        )
        if values is not None:
            if allow_missing_classes:
                raise UsageError('--allow-missing-classes is for classes, and --values has none')
            numbers = answer_values(config, checkpoint, values, work_dir, **common)
            print(numbers.table())
            return {row.name: row.r2 for row in numbers.rows}
        found = answer(config, checkpoint, work_dir, allow_missing_classes=allow_missing_classes, **common)
        print(found.table())
        return {row.name: row.linear for row in found.rows}
    if sizes or group or workers or values:
        raise UsageError('--sizes, --group, --workers and --values need a work dir or checkpoint and labelled pictures')
    path = find_config(config)
    trained = None if is_config(checkpoint) else read_checkpoint(checkpoint, trust_checkpoint)
    source = find_config(checkpoint) if trained is None else Path(trained.path)
    settings: dict[str, Any] = dict(seed=seed, amp=amp, cache=None if cache == 'none' else cache)
    if allow_missing_classes:
        settings['allow_missing_classes'] = True
    cfg = build_config(path, source, trained, spaces, protocols, settings)
    cfg.work_dir = str(work_dir or cfg.work_dir)
    cfg.randomness = dict(seed=seed)
    cfg.merge_from_dict(data_root_options(cfg, data_root, 'test_dataloader', 'test_cfg.train_dataloader'))
    merge_options(cfg, cfg_options or {})
    share_channels(cfg)
    check_config(cfg, cfg_options)
    if cfg.get('load_from') or cfg.get('resume'):
        raise ValueError(
            f'Got load_from={cfg.get("load_from")!r}, resume={cfg.get("resume")!r}, which would replace the weights of '
            f'{checkpoint}. Give the checkpoint as the second argument.'
        )
    cfg.work_dir = str(writable_folder(cfg.work_dir))
    setup_launch(cfg, launcher)
    runner = Runner.from_cfg(cfg)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if trained is not None:
        load_weights(model, trained)
    else:
        random_weights(model)
        if is_main_process():
            print(f'RANDOM WEIGHTS: the model of {checkpoint}, not trained, as a baseline.')
    with explain_shared_memory():
        return runner.test()


def build_config(
    path: Path,
    source: Path,
    checkpoint: 'Checkpoint | None',
    spaces: Sequence[str],
    protocols: Sequence[str],
    settings: Mapping[str, Any],
) -> 'Config':
    """The evaluation config with the model, and with what the arguments of :func:`test` choose.

    Args:
        path: The evaluation config.
        source: The checkpoint, or a pretraining config.
        checkpoint: As it was read; None for random weights.
        spaces: As of :func:`test`.
        protocols: As of :func:`test`.
        settings: Entries of ``test_cfg``.

    Raises:
        ValueError: There is no model, or a protocol is unknown.
    """
    from mmengine.config import Config

    from looc_mm.evaluation.run import choose_protocols

    cfg = Config.fromfile(path)
    if 'model' not in cfg:
        if checkpoint is not None:
            cfg.model = checkpoint.model_config
        elif 'model' in (pretraining := Config.fromfile(source)):
            cfg.model = pretraining.model
        else:
            raise ValueError(f'{source} has no `model`: give a checkpoint or a pretraining config.')
    if checkpoint is not None:
        cfg.test_cfg.update(
            checkpoint=checkpoint.path, experiment=checkpoint.experiment, states=dict(checkpoint.states)
        )
    path, source = path.resolve(), source.resolve()
    run = '_'.join([source.parent.name if checkpoint else 'random', source.stem, *spaces])
    if not cfg.get('work_dir'):
        cfg.work_dir = str(Path('work_dirs', '_'.join(protocols or [path.parent.name]), path.stem, run))
    cfg.test_cfg.update(settings)
    if protocols:
        cfg.test_cfg.protocols = choose_protocols(protocols, cfg.test_cfg.get('protocols', []))
        cfg.test_cfg.skip_unsuitable = list(protocols) == ['all']
    if spaces:
        cfg.test_cfg.representation = list(spaces)
    return cfg
