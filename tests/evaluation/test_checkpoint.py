import pytest
import torch
from mmengine.config import Config

from looc_mm.evaluation.checkpoint import check_weights, read_checkpoint, read_training_config

from .fake import FakeModel


class Payload:
    """Pickles as a call."""

    def __reduce__(self):
        return print, ('run',)


MODEL = dict(
    type='FakeModel',
    pipeline=dict(augmentations=[dict(type='Crop', scale=(0.2, 1.0), pairs=[(1, -2.5)]), dict(type='Flip')]),
    heads={'a-b': dict(depth=2), 'c': None},
    neck=None,
)


def stored(config):
    return {'meta': {'cfg': Config(config).pretty_text}}


def test_the_model_config_survives_the_checkpoint():
    config = dict(model=MODEL, custom_imports=dict(imports=['json']), lr=0.1)
    for trust in (False, True):
        read = read_training_config(stored(config), 'a.pth', trust)
        assert read['model'] == MODEL and read['custom_imports'] == {'imports': ['json']}


@pytest.mark.parametrize(
    'text',
    [
        'model = print("run")',
        'model = dict(type="FakeModel", width=print("run"))',
        'model = dict(type="FakeModel", backbone=dict(type="subprocess.call"))',
        'model = [x for x in (1, 2)]',
        'model = dict(',
    ],
)
def test_a_config_that_would_run_code_needs_trust(text, capsys):
    with pytest.raises(ValueError, match='a.pth.*--trust-checkpoint'):
        read_training_config({'meta': {'cfg': text}}, 'a.pth')
    assert not capsys.readouterr().out


def test_a_checkpoint_without_a_config():
    for checkpoint in ({}, {'meta': {}}, stored(dict(lr=1))):
        with pytest.raises(ValueError, match='a.pth.*define'):
            read_training_config(checkpoint, 'a.pth')


def test_files_that_cannot_be_read(tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match='none.pth'):
        read_checkpoint(tmp_path / 'none.pth')
    path = tmp_path / 'a.pth'
    torch.save({'state_dict': torch.zeros(10_000)}, path)
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b'', b'no checkpoint at all'):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match='a.pth cannot be read: it is truncated or no checkpoint'):
            read_checkpoint(path)


def test_pickled_objects_need_trust(tmp_path, capsys):
    path = tmp_path / 'a.pth'
    torch.save({'state_dict': {}, 'payload': Payload()}, path)
    with pytest.raises(ValueError, match='a.pth holds pickled objects.*--trust-checkpoint'):
        read_checkpoint(path)
    assert not capsys.readouterr().out
    read_checkpoint(path, trust=True)
    assert capsys.readouterr().out == 'run\n'


def test_weights_that_do_not_fit():
    model = FakeModel()
    state = model.state_dict()
    check_weights(model, state, 'a.pth', ('backbone.', 'neck.'))
    check_weights(model, {f'module.{key}': value for key, value in state.items()}, 'a.pth', ('backbone.',))
    for other in ({}, {'fc.weight': torch.zeros(1)}, FakeModel(width=4).state_dict()):
        with pytest.raises(ValueError, match='a.pth does not fit the model: .* the first is backbone.0.weight'):
            check_weights(model, other, 'a.pth', ('backbone.',))
