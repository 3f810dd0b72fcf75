"""Packaging of looc_mm; ``constraints.txt`` has the versions that the tests run on."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

here = Path(__file__).parent
version = re.search(r"__version__ = '([^']+)'", (here / 'looc_mm/version.py').read_text()).group(1)

EXPORT = ['onnx>=1.19,<2', 'onnxscript>=0.5,<1', 'onnxruntime>=1.22,<2', 'safetensors>=0.5,<1']


class BuildWithConfigs(build_py):
    """Adds the folders that are not Python packages, at the place where MMEngine looks for a package's configs."""

    def run(self):
        """Copy modules, and other files to ``looc_mm/.mim``; an editable install has the originals."""
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib, 'looc_mm/.mim')
        shutil.rmtree(mim, ignore_errors=True)  # of an earlier build
        # tools/paper_tables.py runs projects/paper_tables, which is no part of the package.
        for name in ('configs', 'tools'):
            shutil.copytree(here / name, mim / name, ignore=shutil.ignore_patterns('__pycache__', 'paper_tables.py'))
        shutil.copy(here / 'model-index.yml', mim)


setup(
    name='looc_mm',
    version=version,
    description='Leave-one-out contrastive learning (LooC) on MMEngine and MMPreTrain',
    long_description=(here / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    author='The looc_mm contributors',
    license_expression='Apache-2.0',
    license_files=['LICENSE'],
    keywords=[
        'contrastive learning',
        'self-supervised learning',
        'representation learning',
        'data augmentation',
        'computer vision',
        'LooC',
        'MoCo',
        'MMPreTrain',
        'PyTorch',
    ],
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3 :: Only',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    packages=find_packages(include=['looc_mm', 'looc_mm.*']),
    cmdclass={'build_py': BuildWithConfigs},
    entry_points={'console_scripts': ['looc = looc_mm.cli:main']},
    package_data={'looc_mm.datasets': ['*.txt']},
    python_requires='>=3.10',
    install_requires=[
        # No upper bound for these three: looc_mm/stack.py warns of releases newer than the tested ones.
        'torch>=2.11',
        'torchvision>=0.26',
        'numpy>=2.2',
        'mmengine>=0.10.7,<0.11',
        'mmcv-lite>=2.2.0,<2.3',  # mmpretrain imports mmcv but does not declare it; no compiled ops are needed
        'mmpretrain>=1.2.0,<1.3',
        'opencv-python>=4.14,<6',
        'pillow>=11.3',  # the first release with AVIF; torchvision and matplotlib need Pillow too
        'matplotlib>=3.9',
        'tqdm>=4.66',
    ],
    extras_require={
        'completion': ['argcomplete>=3.5,<4'],
        'export': EXPORT,
        'parquet': ['pyarrow>=18'],
        'datasets': ['datasets>=5'],
        'kornia': ['kornia>=0.9,<0.10; python_version >= "3.11"'],
        'timm': ['timm>=1.0.31,<1.1'],
        'tensorboard': ['tensorboard>=2.18'],
        'wandb': ['wandb>=0.19'],
        'mlflow': ['mlflow>=2.19'],
        'dev': [
            'pytest>=8',
            'pytest-xdist>=3.6',
            'ruff>=0.17,<0.18',
            'mypy>=2.4,<2.5',
            'scikit-learn>=1.6',
            'kornia>=0.9,<0.10; python_version >= "3.11"',
            'timm>=1.0.31,<1.1',
            *EXPORT,
            'pyarrow>=18',
            'argcomplete>=3.5,<4',
            # of albumentations, which make installs without its own dependencies: they hold a second OpenCV
            'pydantic>=2.9',
            'PyYAML',
            'scipy>=1.10',
            'simsimd>=5.9',
            'stringzilla>=3.10',
        ],
    },
)
