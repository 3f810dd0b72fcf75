#!/usr/bin/env python
"""Evaluate a pretrained model on frozen features.

python tools/test.py configs/linear_eval/imagenette.py work_dirs/looc/epoch_200.pth
python tools/test.py configs/linear_eval/imagenette.py configs/looc/imagenette.py   # baseline: random weights
"""

import argparse
import os
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from looc_mm.engine.launch import setup_launch
from looc_mm.evaluation.checkpoint import check_weights, read_checkpoint, read_training_config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate a pretrained model on frozen features.')
    parser.add_argument('config', help='evaluation config')
    parser.add_argument('checkpoint', help='checkpoint (.pth), or pretraining config (.py) for random weights')
    parser.add_argument(
        '--work-dir', help='where results.json goes; work_dirs/<folder>/<name> of the config if not given'
    )
    parser.add_argument('--spaces', nargs='+', help='probe the embeddings of these spaces, or of "all", in place of V')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--amp', action='store_true', help='extract features under autocast')
    parser.add_argument('--trust-checkpoint', action='store_true', help='allow the checkpoint to run code on loading')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='override settings: key=value')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    random_weights = args.checkpoint.endswith('.py')
    if random_weights:
        source = Config.fromfile(args.checkpoint)
        if 'model' not in source:
            raise ValueError(f'{args.checkpoint} has no `model`; give a pretraining config or a checkpoint.')
    else:
        if args.trust_checkpoint:
            os.environ['TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'] = '1'  # for the runner, which loads the file again
        checkpoint = read_checkpoint(args.checkpoint, args.trust_checkpoint)
        cfg.load_from = args.checkpoint
        source = {} if 'model' in cfg else read_training_config(checkpoint, args.checkpoint, args.trust_checkpoint)
    if 'model' not in cfg:
        cfg.model = source['model']
        import_modules_from_strings(**source.get('custom_imports', {'imports': []}))

    cfg.work_dir = (
        args.work_dir
        or cfg.get('work_dir')
        or str(Path('work_dirs', *Path(args.config).parts[-2:-1], Path(args.config).stem))
    )
    cfg.randomness = dict(seed=args.seed)
    cfg.test_cfg.update(seed=args.seed, amp=args.amp)
    if args.spaces:
        cfg.test_cfg.representation = args.spaces
    cfg.merge_from_dict(args.cfg_options or {})

    setup_launch(cfg, args.launcher)
    runner = Runner.from_cfg(cfg)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if random_weights:
        model.init_weights()
        if is_main_process():
            print(f'RANDOM WEIGHTS: the model of {args.checkpoint}, not trained, as a baseline.')
    else:
        check_weights(model, checkpoint.get('state_dict', checkpoint), args.checkpoint, heads=bool(args.spaces))
    runner.test()


if __name__ == '__main__':
    main()
