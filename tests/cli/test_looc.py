"""The command looc as users start it."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from looc_mm.cli import COMMANDS, _of_a_worker, main
from looc_mm.datasets import ImageFolder
from looc_mm.registry import AUGMENTATIONS, DATASETS, MODELS, PROTOCOLS

ROOT = Path(__file__).parents[2]
HEAVY = ('torch', 'torchvision', 'mmengine', 'mmpretrain', 'cv2', 'numpy', 'matplotlib')
IMPORTED = f"""
import sys
from looc_mm.cli import main
try:
    main(sys.argv[1:])
finally:
    print('imported:', sorted({set(HEAVY)!r} & set(sys.modules)))
"""
PLUGIN = '''
from looc_mm.augmentations import AtomicAugmentation
from looc_mm.registry import AUGMENTATIONS


@AUGMENTATIONS.register_module()
class Invert(AtomicAugmentation):
    """Turn light into dark.

    It has a second paragraph.
    """

    name = 'negative'

    def sample(self, batch_size, generator, image_size):
        return {}

    def apply(self, images, params):
        return 1 - images
'''


def looc(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'looc_mm', *map(str, words)]
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize('words', [['--help'], ['--version'], *([name, '--help'] for name in COMMANDS)])
def test_help_imports_nothing_heavy(words):
    done = subprocess.run([sys.executable, '-c', IMPORTED, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith('imported: []\n')
    if words == ['--help']:
        assert all(f'  {name} ' in done.stdout or f'  {name}\n' in done.stdout for name in COMMANDS)
    elif words != ['--version']:
        assert done.stdout.startswith(f'usage: looc {words[0]} ')


def test_every_tool_is_a_command():
    tools = {path.stem for path in (ROOT / 'tools').glob('*.py')} - {'paper_tables'}
    assert tools == {name.replace('-', '_') for name in COMMANDS} - {'list'}
    for name in tools:
        done = subprocess.run(
            [sys.executable, ROOT / f'tools/{name}.py', '--help'], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0 and f'usage: {"looc suite" if name == "suite" else name + ".py"} ' in done.stdout


def test_our_errors_are_one_line(tmp_path):
    done = looc('train', 'loc_factors', cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith('looc train: There is no config loc_factors: ')
    assert 'Did you mean looc/looc_factors' in done.stderr and len(done.stderr.splitlines()) == 1
    done = looc('test', 'linear_eval/factors', 'none.pth', cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.endswith("looc test: There is no work dir or checkpoint 'none.pth'.\n")
    assert 'Traceback' not in done.stderr
    assert not list(tmp_path.iterdir())


def test_other_errors_keep_their_traceback(tmp_path, monkeypatch):
    (tmp_path / 'broken.py').write_text("raise ValueError('a mistake in a config')")
    with pytest.raises(ValueError, match='a mistake in a config'):
        main(['train', str(tmp_path / 'broken.py')])
    defect = 'def demo(work_dir, epochs, seed): int(work_dir.name)'
    scope = {'__name__': 'looc_mm.cli.demo'}
    exec(defect, scope)
    monkeypatch.setitem(COMMANDS, 'demo', functools.wraps(COMMANDS['demo'])(scope['demo']))
    with pytest.raises(ValueError, match='invalid literal for int'):
        main(['demo'])


def test_arguments_that_do_not_fit_are_a_wrong_usage(capsys):
    for words, message in [
        (['pack-canvases', 'x'], 'give SOURCE and OUT, or --verify OUT'),
        (['stylize', 'a', 'b', 'c', '--vgg', 'v'], 'give both --vgg and --decoder, or --random-weights alone'),
        (['export', 'a.pth', 'b.bin'], 'b.bin ends with none of .pth .safetensors .onnx'),
        (['corrupt', 'a', 'b', '--size', '3', '--keep-size'], 'give --size or --keep-size, not both'),
        (['corrupt', 'a', 'b', '--corruptions', 'rain'], "invalid choice: 'rain' of --corruptions; allowed are noise,"),
    ]:
        with pytest.raises(SystemExit, match='2'):
            main(words)
        printed = capsys.readouterr().err
        assert printed.startswith(f'usage: looc {words[0]} ') and f'looc {words[0]}: error: {message}' in printed


@pytest.mark.parametrize(
    ('kind', 'registry', 'one'),
    [
        ('methods', MODELS, 'MultiHeadMoCo LooC: a shared backbone'),
        ('protocols', PROTOCOLS, 'KNNProbe knn Vote of the k nearest'),
        ('datasets', DATASETS, 'CUB CUB-200-2011'),
        ('augmentations', AUGMENTATIONS, 'ColorJitter color Jitter brightness'),
    ],
)
def test_lists_what_the_registries_hold(kind, registry, one, capsys):
    assert main(['list', kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(' '.join(line.split()).startswith(one) for line in lines)
    names = [line.split()[0] for line in lines]
    assert names == sorted(names) and set(names) <= set(registry.module_dict)
    if kind == 'methods':
        ours = [name for name in names if MODELS.get(name).__module__.startswith('looc_mm.')]  # not of other tests
        assert ours == ['AugSelf', 'CASSLE', 'ESSL', 'MultiHeadMoCo', 'MultiHeadSimCLR'], 'no necks, heads or layers'
    else:
        assert set(names) == set(registry.module_dict)
    if kind == 'augmentations':
        assert len({line.index(text) for line in lines for text in ('Jitter b', 'Mirror', 'Turn') if text in line}) == 1
        (flip,) = (line.split() for line in lines if line.startswith('HorizontalFlip'))
        assert flip[1] == 'Mirror', 'it owns no space'


def test_lists_the_configs(capsys):
    assert main(['list', 'configs']) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ['linear_eval/cub', 'CUB-200-2011.'] in lines and ['linear_eval/cub_augmented'] in lines


def test_lists_a_plugin(tmp_path):
    (tmp_path / 'negative.py').write_text(PLUGIN)
    done = looc('list', 'augmentations', '--plugin', 'negative.py', cwd=tmp_path)
    rows = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert ['Invert', 'negative', 'Turn light into dark.'] in rows, done.stderr
    assert 'No plug-in at none.py' in looc('list', 'methods', '--plugin', 'none.py', cwd=tmp_path).stderr


def test_the_shell_completes_commands_and_options(tmp_path):
    pytest.importorskip('argcomplete')
    for line, expected in (
        ('looc sty', ['stylize']),
        ('looc list da', ['datasets']),
        ('looc train --la', ['--launcher']),
    ):
        asked = {'COMP_LINE': line, 'COMP_POINT': str(len(line)), 'COMP_TYPE': '9', '_ARGCOMPLETE': '1'}
        out = {'_ARGCOMPLETE_STDOUT_FILENAME': str(tmp_path / 'out'), '_ARGCOMPLETE_IFS': '\n'}
        subprocess.run([sys.executable, '-m', 'looc_mm'], env={**os.environ, **asked, **out}, check=True, timeout=60)
        assert (tmp_path / 'out').read_text().split() == expected


@pytest.mark.parametrize(('given', 'used'), [(None, 'PASSIVE'), ('ACTIVE', 'ACTIVE')])
def test_waiting_threads_leave_the_cores_to_workers(given, used, monkeypatch, capsys):
    monkeypatch.delenv('OMP_WAIT_POLICY', raising=False)
    if given:
        monkeypatch.setenv('OMP_WAIT_POLICY', given)
    assert main(['list', 'configs']) == 0
    assert os.environ.pop('OMP_WAIT_POLICY') == used


def test_the_error_of_a_worker_process_is_one_line(tmp_path):
    """PyTorch raises it again with a traceback as its message."""
    (tmp_path / 'a.jpg').touch()
    dataset = ImageFolder(str(tmp_path), pipeline=[dict(type='LoadCanvas')])
    with pytest.raises(ValueError, match='Traceback') as error:
        next(iter(DataLoader(dataset, num_workers=1)))
    message = _of_a_worker(str(error.value))
    assert message is not None and message.startswith(f"'{tmp_path / 'a.jpg'}' is empty (0 bytes). Copy")
    assert 'Traceback' not in message and _of_a_worker('a message') is None
