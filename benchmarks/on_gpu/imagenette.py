"""LooC, its control and MoCo v2 on photographs: trained side by side by ``tools/suite.py``, then evaluated.

The configs are in ``benchmarks/imagenette``. A pilot of two epochs, of all networks at once, gives the time of an
epoch; the networks then get as many epochs as fit, the same number each.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
from recipes import photographs

from .job import ROOT, Job
from .suite import suite

CONFIGS = ('moco', 'moco_rotation', 'control', 'looc')
PROTOCOLS = {'imagenette': ['LinearProbe', 'RotationProbe'], 'flowers5': ['LinearProbe']}
EVALUATING = 100  # seconds that starting and evaluating take, beside the epochs


def run(job: Job) -> None:
    """Keep a record of each network.

    Raises:
        RuntimeError: If there is no data.
    """
    folders = {name: made(job, name) if job.dry else job.folder_of(name) for name in ('imagenette', 'flowers5')}
    if missing := [name for name, folder in folders.items() if folder is None]:
        raise RuntimeError(f'--data has neither a folder nor a zip of {missing}')
    configs = [ROOT / f'benchmarks/imagenette/{name}.py' for name in (CONFIGS[-1:] if job.dry else CONFIGS)]
    evaluations = [evaluation(job, dataset, folder) for dataset, folder in folders.items()]
    batch, workers = (8, 1) if job.dry else (64, 3)
    options = [
        f'train_dataloader.dataset.data_root={folders["imagenette"]}',
        f'train_dataloader.num_workers={workers}',
        f'train_dataloader.batch_size={batch}',
        f'model.neck.queue_len={batch}',
    ]
    if job.dry:
        options += ['model.backbone.base_channels=16', 'model.backbone.stem_channels=16', 'model.neck.in_channels=128']
        evaluations = evaluations[:1]
    steps = sum(1 for _ in Path(folders['imagenette'], 'train').rglob('*.jpg')) // batch
    epochs = job.once('epochs', lambda: fitting(job, configs, options, steps))
    together = ['--seeds', 0, '--jobs', len(configs), '--work-dir', job.scratch / 'runs']
    evaluate = ['--evaluate', *evaluations, '--epochs', 1 if job.dry else epochs]
    suite(job, [*configs, *together, *evaluate, '--cfg-options', *options])


def fitting(job: Job, configs: list[Path], options: list[str], steps: int) -> int:
    """Epochs of so many steps that fit into the time that is left, by a pilot of two epochs of all networks at once."""
    pilot = job.scratch / 'pilot'
    changes = [*options, 'train_cfg.max_epochs=2', 'default_hooks.logger.interval=1']
    with ThreadPoolExecutor(len(configs)) as pool:
        runs = [
            pool.submit(
                job.python, 'tools/train.py', config, '--work-dir', pilot / config.stem, '--cfg-options', *changes
            )
            for config in configs
        ]
    for run in runs:
        run.result()
    logs = [file.read_text().splitlines() for file in pilot.rglob('scalars.json')]
    slowest = steps * max(json.loads(log[-1])['time'] for log in logs)  # a mean over the log's window
    print(f'an epoch takes {slowest:.2f} s, {job.left():.0f} s are left')
    return max(1, int((job.left() - EVALUATING) / slowest))


def evaluation(job: Job, dataset: str, folder: Path | None) -> Path:
    """A config of the protocols on pictures of 112 pixels as they are."""
    side = 32 if job.dry else 112
    steps = [dict(type='LoadImageFromFile'), dict(type='ResizeShortEdge', scale=side)]
    steps += [dict(type='CenterCrop', crop_size=side), dict(type='PackCanvas', label_keys=('gt_label',))]
    test, train = (dict(dataset=dict(data_root=f'{folder}/{split}', pipeline=steps)) for split in ('val', 'train'))
    file = job.scratch / f'{dataset}_112.py'
    file.write_text(
        f'_base_ = {str(ROOT / f"configs/linear_eval/{dataset}.py")!r}\ntest_dataloader = {test!r}\n'
        f'test_cfg = {dict(train_dataloader=train, protocols=[dict(type=each) for each in PROTOCOLS[dataset]])!r}\n'
    )
    return file


def made(job: Job, name: str) -> Path:
    """A dataset of two classes in the datasets' layout, to try the code."""
    folder = job.scratch / name
    for split in ('train', 'val'):
        for label in ('a', 'b'):
            (folder / split / label).mkdir(parents=True, exist_ok=True)
            for index, picture in enumerate(photographs(8, 48, 48)):
                cv2.imwrite(str(folder / split / label / f'{index}.jpg'), picture)
    return folder
