"""Versions of the stack, and the warning of those that are newer than the tested ones."""

import os
import subprocess
import sys
import warnings
from importlib import metadata

import pytest

from looc_mm import stack


@pytest.fixture
def installed(monkeypatch):
    """Set the versions that the packages seem to have."""

    def install(**versions):
        def version(name):
            if name not in versions:
                raise metadata.PackageNotFoundError(name)
            return versions[name]

        monkeypatch.setattr(metadata, 'version', version)

    return install


@pytest.mark.parametrize(
    ('torch', 'numpy', 'newer'),
    [
        ('2.15.0', '2.5.5', []),
        ('2.15.9+cu130', '2.10.0', ['numpy 2.10.0 (tested up to 2.5)']),
        ('2.16.0a0+git12', '3.0.0', ['torch 2.16.0a0+git12 (tested up to 2.15)', 'numpy 3.0.0 (tested up to 2.5)']),
        ('3.0', '2.2.0', ['torch 3.0 (tested up to 2.15)']),
    ],
)
def test_newer_releases(installed, torch, numpy, newer):
    installed(torch=torch, torchvision='0.29.0', numpy=numpy)
    assert stack.newer_releases() == newer


def test_the_fork_has_the_version(installed):
    installed(**{'mmcv': '2.2.0', 'onedl-mmcv': '2.3.6', 'onedl-mmengine': '0.10.12'})
    assert (stack.version('mmcv'), stack.version('mmengine')) == ('2.2.0', '0.10.12')
    with pytest.raises(metadata.PackageNotFoundError, match='onedl-mmpretrain'):
        stack.version('mmpretrain')


def test_the_installed_versions_are_tested():
    assert not stack.newer_releases()


@pytest.mark.parametrize(('rank', 'lines'), [('0', 1), ('1', 0)])
def test_one_line_once(rank, lines):
    code = """
from looc_mm import stack
stack.NEWEST['numpy'] = '1.26'
stack.registry, stack.BaseTransform
"""
    env = {**os.environ, 'LOCAL_RANK': rank, 'PYTHONWARNINGS': 'ignore,default::UserWarning:looc_mm'}
    done = subprocess.run(
        [sys.executable, '-c', code], check=True, timeout=300, capture_output=True, text=True, env=env
    )
    found = [line for line in done.stderr.splitlines() if 'tested' in line]
    assert len(found) == lines
    assert all('numpy' in line and 'constraints.txt' in line for line in found)
    assert 'numpy' not in done.stderr.replace('\n'.join(found), '')


def test_the_warning_can_be_an_error(monkeypatch):
    monkeypatch.setitem(stack.NEWEST, 'torch', '1.0')
    stack.warn_of_newer_releases.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with pytest.raises(UserWarning, match=r'torch .* \(tested up to 1.0\)'):
            stack.warn_of_newer_releases()
    stack.warn_of_newer_releases.cache_clear()
