"""The figures of the spaces in the log, the warning, the last line and the checkpoint."""

import copy
import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from looc_mm.checkpoint import read_checkpoint
from looc_mm.engine import WatchSpaces
from looc_mm.models.space_figures import SpaceFigures, space_state
from looc_mm.registry import MODELS
from tests.regression.reference import ROOT

STEPS = 20


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A short training of LooC on Factors, from which its spaces can learn nothing: folder, log, every step's means."""
    cfg = Config.fromfile(ROOT / 'configs/looc/looc_factors.py')
    cfg.train_dataloader.update(batch_size=4, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.length = 4 * STEPS
    cfg.train_cfg.max_epochs = 1
    cfg.model.backbone.base_channels = 8
    cfg.model.neck.update(in_channels=64, queue_len=64)
    cfg.param_scheduler = []
    cfg.default_hooks.logger.interval = 5
    folder = tmp_path_factory.mktemp('watched')
    cfg.work_dir = cfg.experiment_name = str(folder)
    steps = []
    add = SpaceFigures.add

    def noted(self, *arguments):
        alone = SpaceFigures(self.spaces, self.views)
        add(alone, *arguments)
        steps.append(alone.read())
        add(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SpaceFigures, 'add', noted)
        runner = Runner.from_cfg(cfg)
        runner.train()
    log = next(folder.glob('*/*.log')).read_text()
    scalars = [json.loads(line) for line in next(folder.glob('*/vis_data/scalars.json')).read_text().splitlines()]
    return folder, log, scalars, steps


@pytest.mark.parametrize('name', ['pos_rotation', 'k_color_rotation', 'others_color', 'P_rotation', 'top1_invariant'])
def test_logged_figures_are_means_over_the_interval(run, name):
    _, _, scalars, steps = run
    figure, space = name.rsplit('_', 1)
    assert len(steps) == STEPS and len(scalars) == STEPS // 5
    for part, logged in enumerate(scalars):
        values = [step[space].get(figure, (0, 0)) for step in steps[5 * part : 5 * part + 5]]
        number = sum(count for _, count in values)
        assert logged[name] == pytest.approx(sum(mean * count for mean, count in values) / number, abs=1e-4)


def test_a_space_that_does_not_learn_is_named_once_with_a_remedy_and_in_the_last_line(run):
    folder, log, _, _ = run
    (warning,) = [line for line in log.splitlines() if "the space 'rotation' is 'not yet'" in line]
    assert 'After 25 % of the training' in warning and 'scale=(0.4, 1.0)' in warning
    (last,) = [line for line in log.splitlines() if 'The spaces at the end' in line]
    assert 'rotation not yet' in last and 'Nothing was learnt in' in last


def test_the_checkpoint_holds_the_states(run):
    states = read_checkpoint(run[0] / 'epoch_1.pth').states
    assert states['rotation'] == 'not yet' and set(states) == {'invariant', 'rotation', 'color'}


def test_the_interval_is_checked():
    with pytest.raises(ValueError, match='interval=0'):
        WatchSpaces(interval=0)


def test_a_shuffled_view_table_shows(photographs):
    """Features that keep what is where distinguish turned photographs; with another image's table it is chance."""
    torch.manual_seed(0)
    cfg = Config.fromfile(ROOT / 'configs/looc/looc_rotation_r18_imagenette.py').model
    cfg.neck.update(in_channels=48, queue_len=256)
    with DefaultScope.overwrite_default_scope('looc_mm'):
        model = MODELS.build(cfg)
    model.backbone = model.key_backbone = Thumbnail()
    canvas = torch.stack([torch.from_numpy(each[:64, :64].copy()).permute(2, 0, 1) for each in cut(photographs, 256)])
    found = {}
    for shuffled in (False, True):
        for _ in range(3):
            pipeline = model.data_preprocessor.pipeline
            table = pipeline.sample(len(canvas), None, (64, 64))
            made = copy.deepcopy(table)
            if shuffled:  # what the table says of k_rotation is true of another image
                made['k_rotation']['rotation'] = {k: v.roll(7, 0) for k, v in made['k_rotation']['rotation'].items()}
            views = model.data_preprocessor.normalise(pipeline.apply(canvas, made))
            with torch.no_grad():
                model.loss(views, table=table)
        found[shuffled] = model.figures.read()['rotation']
    assert space_state(found[False]) == 'learning'
    assert space_state(found[True]) == 'not yet' and abs(found[True]['P'][0] - 0.5) < 0.06


class Thumbnail(torch.nn.Module):
    """The mean colours of the 16 parts of an image, as a feature."""

    def forward(self, images):
        return (torch.nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)[..., None, None],)


def cut(photographs, number):
    """Pieces of 64 x 64 pixels."""
    rng = torch.Generator().manual_seed(0)
    pieces = []
    for index in range(number):
        picture = photographs[index % len(photographs)]
        top, left = (int(torch.randint(side - 64, (), generator=rng)) for side in picture.shape[:2])
        pieces.append(picture[top : top + 64, left : left + 64])
    return pieces
