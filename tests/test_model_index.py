"""model-index.yml, which MIM reads: it names every pretraining config, as it is."""

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from looc_mm.configs import config_names

ROOT = Path(__file__).parents[1]
FILE = ROOT / 'model-index.yml'
METHODS = ('looc', 'moco', 'relatives', 'simclr', 'supervised')
DATASETS = {'Factors': 'factors', 'Imagenette': 'imagenette', 'ImageNet-100': 'in100'}
MODELS = yaml.safe_load(FILE.read_text())['Models']


def test_every_pretraining_config_has_an_entry():
    """A config for a folder of the user's pictures has none: its training data has no name."""
    trained = {name for name in config_names() if name.startswith(METHODS) and not name.endswith('_folder')}
    assert [model['Config'] for model in MODELS] == [f'configs/{name}.py' for name in sorted(trained)]


def test_names_are_those_of_the_commands():
    assert [model['Name'] for model in MODELS] == [Path(model['Config']).stem for model in MODELS]


@pytest.mark.parametrize('model', MODELS, ids=lambda model: model['Name'])
def test_entries_agree_with_the_configs(model):
    config, metadata = Config.fromfile(ROOT / model['Config']), model['Metadata']
    assert model['Name'].endswith(f'_{DATASETS[metadata["Training Data"]]}')
    assert (metadata['Epochs'], metadata['Batch Size']) == (
        config.train_cfg.max_epochs,
        config.train_dataloader.batch_size,
    )
    assert 'Weights' not in model


def test_the_library_of_mim_accepts_it():
    modelindex = pytest.importorskip('modelindex')
    index = modelindex.load(str(FILE))
    index.build_models_with_collections()
    assert not index.check(silent=True)
    assert len(index.models) == len(MODELS)
    architectures = {tuple(model.full_model.metadata.data['Architecture']) for model in index.models}
    assert ('ResNet', 'MoCo', 'LooC') in architectures
