"""The standard files of the repository agree with each other and with the package."""

import re
import runpy
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from looc_mm.stack import NEWEST
from looc_mm.version import __version__

ROOT = Path(__file__).parents[1]
CONTRIBUTING = ROOT / 'CONTRIBUTING.md'


@pytest.fixture
def metadata(monkeypatch) -> dict:
    """What setup.py hands to setuptools; setuptools itself is not needed."""
    found: dict = {}
    fake = SimpleNamespace(setup=lambda **arguments: found.update(arguments), find_packages=lambda **_: [])
    monkeypatch.setitem(sys.modules, 'setuptools', fake)
    monkeypatch.setitem(sys.modules, 'setuptools.command.build_py', SimpleNamespace(build_py=object))
    runpy.run_path(str(ROOT / 'setup.py'))
    return found


def test_licence_and_author_are_the_same_everywhere(metadata):
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert metadata['license_expression'] == citation['license'] == 'Apache-2.0'
    assert [{'name': metadata['author']}] == citation['authors']
    (name,) = metadata['license_files']
    text = (ROOT / name).read_text()
    assert text.startswith(f'Copyright 2026 {metadata["author"]}\n')
    assert 'Apache License' in text and 'END OF TERMS AND CONDITIONS' in text
    # setuptools refuses a licence classifier beside a licence expression
    assert not [line for line in metadata['classifiers'] if line.startswith('License ::')]


def test_citation_names_this_version_and_the_paper(metadata):
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == metadata['version'] == __version__
    assert citation['title'].startswith(f'{metadata["name"]}: ')
    (paper,) = citation['references']
    assert paper['title'] in ' '.join((ROOT / 'README.md').read_text().split())
    assert paper['url'] in (ROOT / 'README.md').read_text()


def test_make_has_every_target_that_is_described():
    makefile = (ROOT / 'Makefile').read_text()
    targets = set(re.findall(r'^([a-z-]+):', makefile, re.MULTILINE)) - {'help'}
    described = set(re.findall(r'^\| `make ([a-z-]+)`', CONTRIBUTING.read_text(), re.MULTILINE))
    in_help = set(re.findall(r"@echo 'make ([a-z-]+) ", makefile))
    assert targets == described == in_help
    pages = [CONTRIBUTING, *(ROOT / '.github').rglob('*.*')]
    assert {name for page in pages for name in re.findall(r'`make ([a-z-]+)', page.read_text())} <= targets


def test_every_path_of_contributing_exists():
    layout = re.findall(r'^\| `([^` ]+)` \|', CONTRIBUTING.read_text(), re.MULTILINE)
    quoted = re.findall(r'`([\w.]*[\w/]+/[\w/.]*|[\w.-]+\.(?:md|py|toml|txt|yaml))`', CONTRIBUTING.read_text())
    assert len(layout) == 10 and len(quoted) > len(layout)
    missing = [path for path in {*layout, *quoted} if not (ROOT / path).exists()]
    assert not missing


def test_forms_and_hooks_are_valid_yaml():
    forms = sorted((ROOT / '.github/ISSUE_TEMPLATE').glob('*.yml'))
    assert [form.stem for form in forms] == ['bug', 'question']
    for form in forms:
        content = yaml.safe_load(form.read_text())
        assert content['name'] and content['description']
        identities = [field['id'] for field in content['body']]
        assert len(set(identities)) == len(identities)
    (local,) = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())['repos']
    assert local['repo'] == 'local', 'a remote repository of hooks would need a network'
    assert [hook['entry'].split()[0] for hook in local['hooks']] == ['ruff', 'ruff', 'mypy']


def test_constraints_pin_each_dependency_within_its_range(metadata):
    lines = [line.strip() for line in (ROOT / 'constraints.txt').read_text().splitlines()]
    pins = dict(line.split('==') for line in lines if line and not line.startswith('#'))
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    extras = [line for group in metadata['extras_require'].values() for line in group]
    required = [Requirement(line) for line in [*metadata['install_requires'], *extras]]
    for requirement in required:
        version = pinned.get(canonicalize_name(requirement.name))
        assert version and requirement.specifier.contains(version), f'{requirement} has {version} in constraints.txt'
    for package, newest in NEWEST.items():
        assert [requirement.specifier for requirement in required if requirement.name == package][0].contains('99')
        assert Version(pinned[package]).release[:2] <= Version(newest).release
    without_own_dependencies = set(re.findall(r'(\w+)==', (ROOT / 'Makefile').read_text()))
    assert set(pinned) == {canonicalize_name(requirement.name) for requirement in required} | without_own_dependencies


@pytest.mark.parametrize('category', [DeprecationWarning, FutureWarning])
def test_deprecated_calls_of_our_modules_are_errors(category):
    with pytest.raises(category):
        warnings.warn_explicit('old', category, 'sgd.py', 1, module='looc_mm.engine.amp')
    warnings.warn_explicit('old', category, 'hook.py', 1, module='mmengine.hooks.hook')  # theirs are not
