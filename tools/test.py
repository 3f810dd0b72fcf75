"""Evaluate a pretrained model on frozen features.

python tools/test.py configs/linear_eval/imagenette.py work_dirs/looc/epoch_200.pth
python tools/test.py configs/linear_eval/imagenette.py configs/looc/looc_r18_imagenette.py  # random weights, a baseline
python tools/test.py configs/linear_eval/imagenette.py work_dirs/looc/epoch_200.pth --protocols knn few_shot  # or all
"""

import argparse
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from looc_mm.checkpoint import Checkpoint, load_weights, read_checkpoint
from looc_mm.engine.launch import LAUNCHERS, setup_launch
from looc_mm.evaluation.run import choose_protocols
from looc_mm.models.representation import SPACES_HELP
from looc_mm.plugins import PLUGIN_HELP, load_files


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate a pretrained model on frozen features.')
    parser.add_argument('config', help="evaluation config; a model in it takes precedence over the checkpoint's")
    parser.add_argument(
        'checkpoint', help='checkpoint, or a pretraining config (.py) for its model with random weights'
    )
    parser.add_argument(
        '--work-dir',
        help='where results.json goes; default: work_dirs/<folder or protocols>/<config>/<run>_<checkpoint>',
    )
    parser.add_argument('--spaces', nargs='+', help=f'probe each of these: {SPACES_HELP}')
    parser.add_argument(
        '--protocols',
        nargs='+',
        help='run these instead of those of the config: linear, knn, few_shot, ... or "all" that suit the model',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--cache',
        default='work_dirs/features',
        help='folder of extracted features, found again by weights, data and transform; "none" for none',
    )
    parser.add_argument('--amp', action='store_true', help='extract features in mixed precision')
    parser.add_argument('--trust-checkpoint', action='store_true', help='allow the checkpoint to run code on loading')
    parser.add_argument('--plugin', action='append', default=[], metavar='FILE.py', help=PLUGIN_HELP)
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='override config entries, e.g. test_dataloader.batch_size=64',
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how the processes were started')
    return parser.parse_args()


def build_config(args: argparse.Namespace, checkpoint: Checkpoint | None) -> Config:
    cfg = Config.fromfile(args.config)
    if 'model' not in cfg:
        if checkpoint is not None:
            cfg.model = checkpoint.model_config
        elif 'model' in (pretraining := Config.fromfile(args.checkpoint)):
            cfg.model = pretraining.model
        else:
            raise ValueError(f'{args.checkpoint} has no `model`: give a checkpoint or a pretraining config.')
    if checkpoint is not None:
        cfg.test_cfg.update(
            checkpoint=checkpoint.path, experiment=checkpoint.experiment, states=dict(checkpoint.states)
        )
    path = Path(args.config).resolve()
    source = Path(args.checkpoint).resolve()
    folder = '_'.join(args.protocols or [path.parent.name])
    run = '_'.join([source.parent.name if checkpoint else 'random', source.stem, *(args.spaces or [])])
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs', folder, path.stem, run))
    cfg.randomness = dict(seed=args.seed)
    cfg.test_cfg.update(seed=args.seed, amp=args.amp, cache=None if args.cache == 'none' else args.cache)
    if args.protocols:
        cfg.test_cfg.protocols = choose_protocols(args.protocols, cfg.test_cfg.get('protocols', []))
        cfg.test_cfg.skip_unsuitable = args.protocols == ['all']
    if args.spaces:
        cfg.test_cfg.representation = args.spaces
    cfg.merge_from_dict(args.cfg_options)
    return cfg


def main() -> None:
    args = parse_args()
    load_files(args.plugin)
    checkpoint = None if args.checkpoint.endswith('.py') else read_checkpoint(args.checkpoint, args.trust_checkpoint)
    cfg = build_config(args, checkpoint)
    setup_launch(cfg, args.launcher)
    runner = Runner.from_cfg(cfg)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if checkpoint is not None:
        load_weights(model, checkpoint)
    else:
        model.init_weights()
        if is_main_process():
            print(f'RANDOM WEIGHTS: the model of {args.checkpoint}, not trained, as a baseline.')
    runner.test()


if __name__ == '__main__':
    main()
