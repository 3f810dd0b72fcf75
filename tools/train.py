"""Train a model: ``python tools/train.py CONFIG``."""

import argparse
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from looc_mm.datasets.shards import read_canvases
from looc_mm.engine.launch import (
    LAUNCHERS,
    check_batches,
    drop_empty_parts,
    setup_launch,
    shorten_schedule,
    spare_threads,
)
from looc_mm.plugins import PLUGIN_HELP, load_files


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a model.')
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where logs and checkpoints go; default: work_dirs/<config name>')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint, or without a value from the last one in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (bfloat16), on GPU or CPU')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size over all processes'
    )
    parser.add_argument('--seed', type=int, help='random seed; default: the config')
    parser.add_argument(
        '--canvases',
        metavar='DIR',
        help="read the images from here, where tools/pack_canvases.py wrote them, in place of the config's dataset",
    )
    parser.add_argument('--plugin', action='append', default=[], metavar='FILE.py', help=PLUGIN_HELP)
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='override config entries, e.g. optim_wrapper.optimizer.lr=0.1 or a list: key="[a,b]"',
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how the processes were started')
    return parser.parse_args()


def build_config(args: argparse.Namespace) -> Config:
    cfg = Config.fromfile(args.config)
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(args.config).stem))
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.amp:
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise ValueError(
                f'--auto-scale-lr needs the batch size that the learning rate is for: add auto_scale_lr = '
                f'dict(base_batch_size=256) to {args.config}'
            )
        cfg.auto_scale_lr.enable = True
    if args.seed is not None:
        cfg.merge_from_dict({'randomness.seed': args.seed})
    cfg.merge_from_dict(args.cfg_options)
    if args.auto_scale_lr:  # MMEngine scales by the batch of one pass; a step of the optimizer has several
        cfg.auto_scale_lr.base_batch_size /= cfg.optim_wrapper.get('accumulative_counts', 1)
    if args.canvases:
        read_canvases(cfg.train_dataloader, args.canvases)
    return cfg


def main() -> None:
    args = parse_args()
    load_files(args.plugin)
    cfg = build_config(args)
    shortened = shorten_schedule(cfg)
    setup_launch(cfg, args.launcher)
    spare_threads()
    runner = Runner.from_cfg(cfg)
    if shortened:
        runner.logger.warning(shortened)
    check_batches(runner)
    drop_empty_parts(runner)
    runner.train()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == '__main__':
    main()
