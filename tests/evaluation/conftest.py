import pytest
from mmengine.dataset import DefaultSampler
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from looc_mm.evaluation import cache, unwritable

from . import fake


def _loader(**dataset):
    return dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dict(type='FakeImages', **dataset),
    )


@pytest.fixture
def warnings_of(monkeypatch):
    """The warnings about files, as a list that grows."""
    texts = []
    for module in (cache, unwritable):
        monkeypatch.setattr(module, 'print_log', lambda text, logger, level: texts.append(text))
    return texts


@pytest.fixture
def build_loader():
    """Dataloader over fake images."""

    def build(batch_size=4):
        data = fake.FakeImages()
        return DataLoader(data, batch_size, sampler=DefaultSampler(data, shuffle=False, seed=0))

    return build


@pytest.fixture
def build_runner(tmp_path):
    """Runner of the loop under test on the fake model."""

    def build(**test_cfg):
        cfg = dict(
            model=dict(type='FakeModel'),
            default_scope='looc_mm',
            work_dir=str(tmp_path),
            experiment_name=str(tmp_path),
            log_level='ERROR',
            randomness=dict(seed=0),
            test_dataloader=_loader(length=22, seed=1),
            test_evaluator=[],
            test_cfg=dict(type='FrozenFeatureLoop', dataset='fake', train_dataloader=_loader(), **test_cfg),
        )
        return Runner.from_cfg(cfg)

    return build
