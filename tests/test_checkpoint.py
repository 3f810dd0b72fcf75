"""The one reader of checkpoints: what it refuses to run, and what has to be in a file."""

import ast
import re
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader
from mmpretrain.registry import TRANSFORMS

from looc_mm import checkpoint
from looc_mm.checkpoint import find_checkpoint, load_model, load_weights, read_checkpoint
from looc_mm.registry import MODELS
from looc_mm.stored_config import ALLOWED_TYPES

from .evaluation.fake import FakeModel
from .test_export import NARROW, config

REPO = Path(__file__).parents[1]
BACKBONE = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)
BOMB = "float32 if open(%r, 'w').write('run') else 1"


class Payload:
    """Pickles as a call."""

    def __reduce__(self):
        return print, ('run',)


def build(cfg):
    with DefaultScope.overwrite_default_scope('looc_mm'):
        return MODELS.build(cfg)


def save(path, state_dict=None, text=None, **meta):
    torch.save({'state_dict': state_dict or {}, 'meta': {'cfg': text, **meta}}, path)
    return path


def stored(path, **cfg):
    return save(path, text=Config(cfg).pretty_text)


def hidden_pipeline(**pipeline):
    """A model whose preprocessor builds a transform."""
    return {**config(NARROW, 64), 'data_preprocessor': dict(type='LeaveOneOutPreprocessor', pipeline=pipeline)}


def test_a_checkpoint_says_what_it_is_of(tmp_path):
    state = {'module.backbone.weight': torch.ones(2), 'neck.bias': torch.zeros(1)}
    path = save(
        tmp_path / 'a.pth', state, 'model = dict(type="FakeModel")', epoch=3, experiment_name='looc_20250102_030405'
    )
    read = read_checkpoint(path)
    assert (read.path, read.experiment, read.epoch) == (str(path), 'looc', 3)
    assert list(read.state_dict) == ['backbone.weight', 'neck.bias']
    torch.save(state, path)
    bare = read_checkpoint(path)
    assert list(bare.state_dict) == ['backbone.weight', 'neck.bias'] and bare.experiment is None
    torch.save(torch.ones(1), path)
    with pytest.raises(ValueError, match='it is no checkpoint, but a Tensor'):
        read_checkpoint(path)


def test_the_model_config_survives_the_checkpoint(tmp_path):
    model = dict(
        type='FakeModel',
        pipeline=dict(augmentations=[dict(type='HorizontalFlip', scale=(0.2, 1.0), pairs=[(1, -2.5)])]),
        heads={'a-b': dict(depth=2), 'c': None},
        neck=None,
    )
    path = stored(tmp_path / 'a.pth', model=model, lr=0.1)
    for trust in (False, True):
        assert read_checkpoint(path, trust).model_config == model


def test_a_stored_config_cannot_evaluate_text(tmp_path):
    """MMPreTrain evaluates the dtype of torchvision's transforms."""
    bomb = BOMB % str(tmp_path / 'run')
    path = stored(tmp_path / 'a.pth', model=hidden_pipeline(type='torchvision/ConvertImageDtype', dtype=bomb))
    assert read_checkpoint(path), 'the file holds plain values alone'
    with pytest.raises(ValueError, match=r'torchvision/ConvertImageDtype.*--trust-checkpoint'):
        load_model(path)
    assert not (tmp_path / 'run').exists()
    with pytest.raises(ValueError, match='takes its spaces from'), DefaultScope.overwrite_default_scope('looc_mm'):
        MODELS.build(read_checkpoint(path, trust=True).model_config)
    assert (tmp_path / 'run').exists(), 'the text is one that runs where it is trusted'


def test_a_stored_config_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / 'evil_module.py').write_text(f'open({str(tmp_path / "run")!r}, "w").write("run")')
    monkeypatch.syspath_prepend(str(tmp_path))
    imports = dict(imports=['evil_module'], allow_failed_imports=False)
    path = stored(tmp_path / 'a.pth', model=dict(type='FakeModel'), custom_imports=imports)
    read_checkpoint(path).model_config  # noqa: B018
    assert not (tmp_path / 'run').exists()
    read_checkpoint(path, trust=True).model_config  # noqa: B018
    assert (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    'text',
    [
        'model = print("run")',
        'model = dict(type="FakeModel", width=print("run"))',
        'model = dict(type="FakeModel", backbone=dict(type="subprocess.call"))',
        'model = dict(type="FakeModel", backbone=dict(type="ResNet", _scope_="evil"))',
        'model = dict(type="FakeModel", backbone=[dict({"type": "ResNet"}, type="HuggingFaceClassifier")])',
        'model = dict(type="FakeModel", backbone=({"type": ["ResNet"]},))',
        'model = dict(type="TIMMBackbone", model_name="hf-hub:a/b")',
        'model = dict(type="TIMMBackbone", model_name="resnet18", checkpoint_path="a.pth")',
        'model = [x for x in (1, 2)]',
    ],
)
def test_a_config_that_would_run_code_needs_trust(text, tmp_path, capsys):
    with pytest.raises(ValueError, match='a.pth.*--trust-checkpoint'):
        read_checkpoint(save(tmp_path / 'a.pth', text=text)).model_config  # noqa: B018
    assert 'run' not in capsys.readouterr().out


@pytest.mark.parametrize('text', ['model = dict(', 'model = ' + '(' * 1000, 'a = 1\n' * 200_000])
def test_a_config_that_is_no_python_is_no_question_of_trust(text, tmp_path):
    with pytest.raises(ValueError, match='a.pth cannot be read as Python') as error:
        read_checkpoint(save(tmp_path / 'a.pth', text=text)).model_config  # noqa: B018
    assert 'trust' not in str(error.value)


class Server(SimpleHTTPRequestHandler):
    """Says nothing on the terminal."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(tmp_path, monkeypatch):
    """An address of the files in a folder."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Server, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


def test_an_address_runs_no_code_either(address, tmp_path, capsys):
    state = {'backbone.weight': torch.ones(2)}
    save(tmp_path / 'good.pth', state, config='print("run")')
    assert torch.equal(read_checkpoint(f'{address}/good.pth').state_dict['backbone.weight'], torch.ones(2))
    assert 'config' not in CheckpointLoader.load_checkpoint(f'{address}/good.pth')['meta']
    torch.save({'state_dict': state, 'payload': Payload()}, tmp_path / 'bad.pth')
    for read in (read_checkpoint, CheckpointLoader.load_checkpoint):
        with pytest.raises(ValueError, match='bad.pth cannot be read: it is damaged or holds pickled objects'):
            read(f'{address}/bad.pth')
    assert not re.search('^run$', capsys.readouterr().out, re.M)
    with pytest.raises(FileNotFoundError, match='nowhere://a'):
        CheckpointLoader.load_checkpoint('nowhere://a')


def test_a_training_loads_no_pickled_objects(tmp_path, capsys):
    """MMEngine 0.11 and OneDL's fork would run them."""
    model = build(config(NARROW, 64)).state_dict()
    path = tmp_path / 'a.pth'
    torch.save({'state_dict': model, 'meta': {'epoch': 1, 'iter': 2}, 'payload': Payload()}, path)
    for options in ({}, {'resume': True}):
        started = runner(tmp_path, load_from=str(path), **options)
        with pytest.raises(
            ValueError, match=r'a.pth holds pickled objects \(builtins.print\).*its weights into a file'
        ):
            started.load_or_resume()
    assert not re.search('^run$', capsys.readouterr().out, re.M)


def test_settings_that_read_other_files_are_left_out(tmp_path):
    cfg = config({**NARROW, 'init_cfg': dict(type='Pretrained', checkpoint='none.pth')}, 64, compile=dict(options={}))
    kept = read_checkpoint(stored(tmp_path / 'a.pth', model=cfg)).model_config
    assert kept == config(NARROW, 64)
    kept = read_checkpoint(
        stored(tmp_path / 'a.pth', model=dict(type='TIMMBackbone', model_name='resnet10t'))
    ).model_config
    assert kept['model_name'] == 'resnet10t'


def test_the_allowed_names_are_models_alone():
    """A name that also is a transform of MMPreTrain would be built as one."""
    assert not {name for name in ALLOWED_TYPES if name in TRANSFORMS.module_dict}


def test_configs_of_the_package_need_no_trust(tmp_path):
    for name in ('looc/loocpp_all_r50_in100', 'relatives/augself_factors', 'supervised/supervised_r50_in100'):
        model = Config.fromfile(REPO / f'configs/{name}.py').model.to_dict()
        assert read_checkpoint(stored(tmp_path / 'a.pth', model=model)).model_config['type'] == model['type']


def test_a_checkpoint_without_a_config(tmp_path):
    for path in (save(tmp_path / 'a.pth'), stored(tmp_path / 'a.pth', lr=1)):
        with pytest.raises(ValueError, match='a.pth.*define'):
            read_checkpoint(path).model_config  # noqa: B018


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pth'):
        read_checkpoint(tmp_path / 'none.pth')
    path = tmp_path / 'a.pth'
    torch.save({'state_dict': torch.zeros(10_000)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match='a.pth is damaged: its directory of entries, at its end, is missing'):
        read_checkpoint(path)
    for broken in (b'', b'no checkpoint at all'):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match='a.pth cannot be read: it is truncated or no checkpoint') as error:
            read_checkpoint(path)
        assert 'trust' not in str(error.value)


def test_pickled_objects_need_trust(tmp_path, capsys):
    path = tmp_path / 'a.pth'
    torch.save({'state_dict': {}, 'payload': Payload()}, path)
    with pytest.raises(ValueError, match='a.pth holds pickled objects.*--trust-checkpoint'):
        read_checkpoint(path)
    assert not capsys.readouterr().out
    read_checkpoint(path, trust=True)
    assert capsys.readouterr().out == 'run\n'


def test_weights_that_do_not_fit(tmp_path):
    model = FakeModel()
    state = model.state_dict()
    load_weights(
        model, read_checkpoint(save(tmp_path / 'a.pth', {f'module.{key}': value for key, value in state.items()}))
    )
    for other in ({'fc.weight': torch.zeros(1)}, FakeModel(width=4).state_dict()):
        with pytest.raises(ValueError, match='a.pth does not fit the model: .* differs in shape is backbone.0.weight'):
            load_weights(model, read_checkpoint(save(tmp_path / 'a.pth', other)))


def test_heads_are_needed_as_the_backbone_is(tmp_path):
    """A space's head that keeps its random weights would give figures."""
    model = build(config(NARROW, 64))
    state = {key: value for key, value in model.state_dict().items() if not key.startswith('neck.')}
    with pytest.raises(
        ValueError, match=r'a.pth does not fit the model: 0 of 12 head weights match.*neck.heads.invariant'
    ):
        load_weights(model, read_checkpoint(save(tmp_path / 'a.pth', state)))


def test_what_matched_is_logged(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(checkpoint, 'print_log', lambda text, logger: lines.append(text))
    model = build(config(NARROW, 64))
    load_weights(model, read_checkpoint(save(tmp_path / 'a.pth', model.state_dict())))
    assert lines == [f'{tmp_path}/a.pth: 100 of 100 backbone weights match, 12 of 12 head weights match.']


def runner(tmp_path, model=None, **settings):
    """A training of two steps."""
    cfg = Config.fromfile(REPO / 'configs/looc/looc_factors.py')
    small = dict(num_workers=0, persistent_workers=False, batch_size=4, dataset=dict(length=8))
    cfg.merge_from_dict(dict(train_dataloader=small, train_cfg=dict(max_epochs=2), log_level='INFO'))
    cfg.model = {**config(NARROW, 64), **(model or {})}
    cfg.update(work_dir=str(tmp_path / 'work'), experiment_name=str(tmp_path), **settings)
    return Runner.from_cfg(cfg)


def copies(model):
    pairs = model.momentum_pairs
    return all(
        torch.equal(a, b) for key, query in pairs for a, b in zip(key.parameters(), query.parameters(), strict=True)
    )


def test_a_training_from_a_backbone_alone_copies_it_into_the_key_encoder(tmp_path):
    torch.manual_seed(7)
    source = build(config(NARROW, 64))
    path = save(tmp_path / 'a.pth', {k: v for k, v in source.state_dict().items() if k.startswith('backbone.')})
    started = runner(tmp_path, load_from=str(path))
    started.model.init_weights()
    started.load_or_resume()
    for name, value in source.backbone.state_dict().items():
        assert torch.equal(value, started.model.key_backbone.state_dict()[name]), name
    assert copies(started.model)
    whole = build(config(NARROW, 64))
    load_weights(whole, read_checkpoint(save(path, {k: v for k, v in source.state_dict().items() if 'key_' not in k})))
    assert copies(whole), 'heads too'


def test_a_training_from_another_network_is_refused(tmp_path):
    path = save(tmp_path / 'a.pth', build(BACKBONE).state_dict())
    with pytest.raises(ValueError, match='a.pth does not fit the model: 0 of 100 backbone weights match'):
        runner(tmp_path, load_from=str(path)).load_or_resume()
    path = save(tmp_path / 'a.pth', build(config({**NARROW, 'depth': 34}, 64)).state_dict())
    wider = dict(backbone={**NARROW, 'depth': 50}, neck={**config(NARROW, 64)['neck'], 'in_channels': 256})
    with pytest.raises(ValueError, match='a.pth does not fit the model'):
        runner(tmp_path, wider, load_from=str(path)).load_or_resume()


def test_a_run_is_not_resumed_from_weights_alone(tmp_path):
    state = build(config(NARROW, 64)).state_dict()
    path = save(tmp_path / 'a.pth', {k: v for k, v in state.items() if not k.startswith('key_')}, iter=2, epoch=1)
    with pytest.raises(ValueError, match=r"cannot be resumed: it holds no weights of \['key_backbone', 'key_heads'\]"):
        runner(tmp_path, load_from=str(path), resume=True).load_or_resume()


def test_resuming_runs_no_stored_config(tmp_path):
    """MMEngine runs meta['config'], as files of its first versions had it."""
    path = save(tmp_path / 'a.pth', build(config(NARROW, 64)).state_dict(), epoch=1, iter=2, config='print("run")')
    loaded = runner(tmp_path).load_checkpoint(str(path))
    assert loaded['meta']['epoch'] == 1 and 'config' not in loaded['meta']


def test_pretrained_weights_that_load_nothing_are_an_error(tmp_path):
    source = build(config(NARROW, 64))
    path = str(save(tmp_path / 'a.pth', source.state_dict()))
    init = dict(type='Pretrained', checkpoint=path)
    with DefaultScope.overwrite_default_scope('looc_mm'):
        with pytest.raises(ValueError, match=r"0 of 100 backbone weights match.*set prefix='backbone.'.*prefix=None"):
            build(config({**NARROW, 'init_cfg': init}, 64)).init_weights()
        model = build(config({**NARROW, 'init_cfg': {**init, 'prefix': 'backbone.'}}, 64))
        model.init_weights()
    assert torch.equal(model.key_backbone.conv1.weight, source.backbone.conv1.weight) and copies(model)


def test_no_other_file_reads_checkpoints():
    for path in (REPO / 'looc_mm').rglob('*.py'):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        loads = [node for node in calls if node.attr == 'load' and getattr(node.value, 'id', '') == 'torch']
        assert not loads or path.name in ('checkpoint.py', 'cache.py', 'adain.py'), path


def test_a_work_dir_is_read_as_its_last_checkpoint(tmp_path):
    for epoch in (1, 2):
        torch.save({'state_dict': {}, 'meta': {'epoch': epoch}}, tmp_path / f'epoch_{epoch}.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    found = read_checkpoint(tmp_path)
    assert (found.path, found.epoch) == (str(tmp_path / 'epoch_2.pth'), 2)


def test_the_last_checkpoint_of_a_moved_work_dir(tmp_path):
    for name in ('epoch_9.pth', 'epoch_10.pth', 'best.pth'):
        (tmp_path / name).touch()
    assert find_checkpoint(tmp_path) == tmp_path / 'epoch_10.pth'
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_9.pth')
    assert find_checkpoint(tmp_path) == tmp_path / 'epoch_9.pth'
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_11.pth')
    assert find_checkpoint(tmp_path) == tmp_path / 'epoch_10.pth'
    assert find_checkpoint(tmp_path / 'best.pth') == tmp_path / 'best.pth'
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='holds no checkpoint'):
        find_checkpoint(tmp_path / 'empty')
    with pytest.raises(FileNotFoundError, match='no work dir or checkpoint'):
        find_checkpoint(tmp_path / 'nothing')
