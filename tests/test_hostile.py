"""Checkpoints that somebody made to harm: none runs code, and each is refused soon, in little memory, in one error."""

import io
import pickle
import resource
import struct
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader

from looc_mm.checkpoint import load_model

from .test_checkpoint import BOMB, hidden_pipeline
from .test_export import NARROW, config

MEMORY, SECONDS = 3 * 2**30, 30  # bytes beside those of the test process; measured are below 1 GB and 5 s
END = b'.'


def zipped(path: Path, data: bytes, **entries: bytes) -> None:
    """A file as torch.save writes it, with this pickle and with entries for storages."""
    writer = torch._C.PyTorchFileWriter(str(path))
    writer.write_record('data.pkl', data, len(data))
    writer.write_record('byteorder', b'little', 6)
    for name, content in entries.items():
        writer.write_record(f'data/{name}', content, len(content))
    writer.write_end_of_file()


def call(name: str, argument: str) -> bytes:
    """Opcodes that call a function of a module with a text."""
    module, function = name.rsplit('.', 1)
    return f'c{module}\n{function}\n'.encode() + b'X' + struct.pack('<I', len(argument)) + argument.encode() + b'\x85R'


def storage(name: str, elements: int, kind: str = 'FloatStorage') -> bytes:
    """Opcodes of a storage in the file."""
    parts = [b'X\x07\x00\x00\x00storage', f'ctorch\n{kind}\n'.encode(), b'X\x01\x00\x00\x00' + name.encode()]
    return b'(' + b''.join(parts) + b'X\x03\x00\x00\x00cpu' + number(elements) + b'tQ'


def number(value: int) -> bytes:
    return b'\x8a\x08' + struct.pack('<q', value)


def tensor(size: int, stride: int, elements: int = 1) -> bytes:
    """Opcodes of a float32 tensor of one dimension, of a storage that has the elements."""
    shape = number(size) + b'\x85' + number(stride) + b'\x85'
    empty = b'ccollections\nOrderedDict\n)R'
    return (
        b'ctorch._utils\n_rebuild_tensor_v2\n(' + storage('0', elements) + number(0) + shape + b'\x89' + empty + b'tR'
    )


def state(value: bytes) -> bytes:
    """Opcodes of {'state_dict': {'a': value}}."""
    return b'\x80\x02}X\x0a\x00\x00\x00state_dict}X\x01\x00\x00\x00a' + value + b'ss' + END


def save(path: Path, content: object, **options: bool) -> None:
    torch.save(content, path, **options)


def with_config(path: Path, text: object, weights: dict | None = None) -> None:
    save(path, {'state_dict': weights or {}, 'meta': {'cfg': text}})


def model(**changes: object) -> str:
    return Config(dict(model={**config(NARROW, 64), **changes})).pretty_text


class Touch:
    """Pickles as a call that makes the file ``ran``."""

    def __reduce__(self):
        return Path.touch, (Path('ran'),)


class Built:
    """Pickles as an object that calls when its state is set."""

    def __reduce__(self):
        return exec, ('open("ran", "w")',), {'a': 1}


def overlapping(path: Path) -> None:
    """Ten thousand entries of 100 kB that are one: a gigabyte of tensors in a file of 1 MB."""
    save(path, {'state_dict': {'a': torch.zeros(25_000)}})
    with zipfile.ZipFile(path, 'a') as archive:
        entry = archive.getinfo(next(name for name in archive.namelist() if name.endswith('data/0')))
        for index in range(10_000):
            other = zipfile.ZipInfo(f'{entry.filename}{index}')
            for field in ('file_size', 'compress_size', 'CRC', 'header_offset'):
                setattr(other, field, getattr(entry, field))
            archive.filelist.append(other)
        archive._didModify = True


def deflated(path: Path) -> None:
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive, archive.open('a/data.pkl', 'w') as file:
        for _ in range(10):
            file.write(bytes(10**7))


def million_keys(path: Path) -> None:
    names = (b'X\x07\x00\x00\x00%07dK\x01' % index for index in range(1_000_000))
    zipped(path, b'\x80\x02}X\x0a\x00\x00\x00state_dict}(' + b''.join(names) + b'us' + END)


def laughs(path: Path) -> None:
    """Lists of two times the list before: two hundred objects, which a walk without a memory never leaves."""
    nested: object = torch.zeros(1)
    for _ in range(200):
        nested = [nested, nested]
    with_config(path, None, {'a': nested})  # type: ignore[dict-item]


def itself(path: Path) -> None:
    content: dict = {'meta': {}}
    content['state_dict'] = content
    content['meta']['spaces'] = content
    content['meta']['cfg'] = [content]
    save(path, content)


def outside(path: Path) -> None:
    """Entries whose names lead out of the folder."""
    with zipfile.ZipFile(path, 'w') as archive:
        for name in ('../../ran/data.pkl', '../../ran/byteorder', '/ran/version', '../ran'):
            archive.writestr(name, b'\x80\x02}.')


def tar(path: Path) -> None:
    import tarfile

    with tarfile.open(path, 'w') as archive:
        for name in ('storages', 'tensors', 'pickle'):
            member = tarfile.TarInfo(name)
            data = pickle.dumps(Touch(), 2)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def dtype(path: Path) -> None:
    with_config(
        path, Config(dict(model=hidden_pipeline(type='torchvision/ConvertImageDtype', dtype=BOMB % 'ran'))).pretty_text
    )


def importing(path: Path) -> None:
    Path('hostile_module.py').write_text('open("ran", "w")')
    text = 'custom_imports = dict(imports=["hostile_module"])\nmodel = dict(type="Evil")'
    with_config(path, f'{text}\n__import__("hostile_module")')


def base(path: Path) -> None:
    Path('evil.py').write_text('open("ran", "w")\nmodel = dict(type="ResNet")')
    with_config(path, '_base_ = ["../evil.py", "evil.py"]\nmodel = {{_base_.model}}')


TRUST, DAMAGED, OTHER = 'pass --trust-checkpoint', 'is damaged|cannot be read', ''
DEEP = dict(embed_dims=64, num_layers=10**7, num_heads=1, feedforward_channels=64)
SYSTEM = call('os.system', 'touch ran')

#: By name how the file is made, and what the error says.
FILES = {
    # Pickles that call.
    'reduce': (lambda path: save(path, {'state_dict': {}, 'a': Touch()}), TRUST),
    'global of protocol 2': (lambda path: zipped(path, state(SYSTEM)), TRUST),
    'global of a stack': (lambda path: zipped(path, pickle.dumps(Touch(), 4)), TRUST),
    'inst': (lambda path: zipped(path, b"(S'touch ran'\nios\nsystem\n."), TRUST),
    'obj': (lambda path: zipped(path, b"(cos\nsystem\nS'touch ran'\no."), TRUST),
    'build': (lambda path: save(path, {'state_dict': Built()}), TRUST),
    'eval': (lambda path: zipped(path, state(call('builtins.eval', 'open("ran", "w")'))), TRUST),
    'eval of Python 2': (lambda path: zipped(path, state(call('__builtin__.eval', 'open("ran", "w")'))), TRUST),
    'torch.load': (lambda path: zipped(path, state(call('torch.load', 'ran'))), TRUST),
    'torch.hub': (lambda path: zipped(path, state(call('torch.hub.load', 'a/b'))), TRUST),
    'extension': (lambda path: zipped(path, b'\x80\x02\x82\x01.'), TRUST),
    'file of old PyTorch': (
        lambda path: save(path, {'state_dict': Touch()}, _use_new_zipfile_serialization=False),
        TRUST,
    ),
    'pickle alone': (lambda path: path.write_bytes(pickle.dumps(Touch(), 2)), 'pass --trust-checkpoint|cannot be read'),
    'tar': (tar, DAMAGED),
    'persistent id': (lambda path: zipped(path, state(b'X\x03\x00\x00\x00ranQ')), DAMAGED),
    # Pickles that end early, in a whole zip: not a question of trust.
    'half a pickle': (lambda path: zipped(path, state(SYSTEM)[:-30] + b'\xff'), DAMAGED),
    'no pickle': (lambda path: zipped(path, b''), DAMAGED),
    'text': (lambda path: path.write_text('GLOBAL os system'), DAMAGED),
    # Much memory.
    'bytearray': (lambda path: zipped(path, state(b'cbuiltins\nbytearray\n' + number(10**12) + b'\x85R')), TRUST),
    'codec': (
        lambda path: zipped(path, state(b'c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R')),
        TRUST,
    ),
    'storage': (lambda path: zipped(path, state(storage('0', 10**13)), **{'0': bytes(4)}), DAMAGED),
    'tensor beyond its storage': (lambda path: zipped(path, state(tensor(10**8, 1)), **{'0': bytes(4)}), DAMAGED),
    'tensor of one number': (lambda path: zipped(path, state(tensor(10**11, 0)), **{'0': bytes(4)}), DAMAGED),
    'stride': (lambda path: zipped(path, state(tensor(2, 10**8)), **{'0': bytes(4)}), DAMAGED),
    'deflated zip': (deflated, DAMAGED),
    'overlapping entries': (overlapping, DAMAGED),
    'million keys': (million_keys, OTHER),
    'laughs': (laughs, OTHER),
    'itself': (itself, OTHER),
    # Other values than expected.
    'sparse tensor': (lambda path: save(path, {'state_dict': {'a': torch.eye(3).to_sparse()}}), TRUST),
    'meta tensor': (lambda path: save(path, {'state_dict': {'a': torch.ones(3, device='meta')}}), TRUST),
    'list': (lambda path: save(path, {'state_dict': [1], 'meta': {}}), DAMAGED),
    'meta': (lambda path: save(path, {'state_dict': {}, 'meta': [1]}), DAMAGED),
    'numbers as names': (lambda path: save(path, {'state_dict': {1: torch.ones(1)}}), OTHER),
    'long name': (lambda path: with_config(path, model(), {'a' * 10**6: torch.ones(1)}), OTHER),
    'config of bytes': (lambda path: save(path, {'state_dict': {}, 'meta': {'cfg': 3}}), OTHER),
    # Configs.
    'entries that leave the folder': (outside, DAMAGED),
    'custom_imports': (importing, 'needs? trust|--trust-checkpoint'),
    'base': (base, OTHER),
    'dtype': (dtype, TRUST),
    'name with dots': (lambda path: with_config(path, 'model = dict(type="os.system", command="touch ran")'), TRUST),
    'name without dots': (lambda path: with_config(path, 'model = dict(type="Config", filename="evil.py")'), TRUST),
    'hub': (lambda path: with_config(path, 'model = dict(type="TIMMBackbone", model_name="hf-hub:a/b")'), TRUST),
    'nested backbone': (lambda path: with_config(path, model(backbone=dict(type='TorchVisionBackbone'))), OTHER),
    'brackets': (lambda path: with_config(path, 'model = ' + '(' * 10**5), 'cannot be read as Python'),
    'signs': (
        lambda path: with_config(path, 'model = ' + '-' * 10**5 + '1'),
        'cannot be read as Python|more than plain',
    ),
    'sum': (
        lambda path: with_config(path, 'model = ' + '1+' * 10**5 + '1'),
        'cannot be read as Python|more than plain',
    ),
    'long text': (lambda path: with_config(path, 'a = 1\n' * 10**6), 'cannot be read as Python'),
    'null': (lambda path: with_config(path, 'model = dict(\0)'), 'cannot be read as Python|more than plain'),
    'power': (lambda path: with_config(path, 'model = dict(type="ResNet", depth=9**9**9)'), TRUST),
    'wide': (lambda path: with_config(path, model(backbone={**NARROW, 'base_channels': 10**6})), 'cannot be built'),
    'deep': (
        lambda path: with_config(path, Config(dict(model=dict(type='VisionTransformer', arch=DEEP))).pretty_text),
        'cannot be built',
    ),
    'queue': (
        lambda path: with_config(path, model(neck={**config(NARROW, 64)['neck'], 'queue_len': 10**7})),
        'cannot be built',
    ),
    'number': (lambda path: with_config(path, model(backbone={**NARROW, 'depth': 10**400})), TRUST),
    'wrong arguments': (lambda path: with_config(path, model(neck=dict(type='ResNet', depth='x'))), 'cannot be built'),
    'no network': (lambda path: with_config(path, 'model = dict(type="RandomGrayscale")'), OTHER),
}

SLOW = ('million keys',)


@pytest.fixture
def bounded(tmp_path, monkeypatch):
    """A folder of its own, less memory than the machine has, and a look for traces of code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    yield tmp_path / 'epoch_1.pth'
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert not list(tmp_path.rglob('ran')) and not (tmp_path.parent / 'ran').exists()
    assert 'hostile_module' not in sys.modules


@pytest.mark.skipif(sys.platform != 'linux', reason='/proc, and limits of memory')
@pytest.mark.parametrize('name', [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in FILES])
def test_a_hostile_file_is_refused(bounded, name):
    make, message = FILES[name]
    make(bounded)
    start = time.process_time()
    with pytest.raises(ValueError, match=message) as error:
        load_model(bounded)
    assert time.process_time() - start < SECONDS
    text = str(error.value)
    assert 'epoch_1.pth' in text and len(text) < 3000
    assert message != DAMAGED or 'trust' not in text.lower(), 'trust repairs nothing'


@pytest.mark.skipif(sys.platform != 'linux', reason='/proc, and limits of memory')
@pytest.mark.parametrize('name', [name for name, (_, message) in FILES.items() if message in (TRUST, DAMAGED)][:33])
def test_mmengine_reads_no_hostile_file_either(bounded, name):
    """A training's load_from and resume; MMEngine 0.11 and OneDL's fork load pickles."""
    FILES[name][0](bounded)
    try:
        content = CheckpointLoader.load_checkpoint(str(bounded), map_location='cpu')
    except ValueError as error:
        assert 'epoch_1.pth' in str(error)
    else:
        assert set(content) <= {'state_dict', 'meta'}, 'only the config of the file is hostile'
