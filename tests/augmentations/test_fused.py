"""The decorator of functions that a GPU runs compiled, and the compiled functions through other backends on the CPU."""

import warnings
from shutil import which

import pytest
import torch

from looc_mm.augmentations import base
from looc_mm.augmentations.base import fused, fuses, send
from looc_mm.models import LeaveOneOutPreprocessor
from looc_mm.registry import AUGMENTATIONS
from looc_mm.views import LeaveOneOutPipeline

ALL = [
    dict(type='RandomResizedCrop', size=40),
    dict(type='HorizontalFlip'),
    dict(type='RandomRightAngleRotation'),
    dict(type='RandomConvTexture', mixing=True),
    dict(type='ColorJitter'),
    dict(type='GaussianBlur'),
]
CLOSE = 2e-5  # on a scale of [0, 1]: other orders of the same sums, in float32
BACKENDS = [
    'aot_eager',
    pytest.param(
        'inductor',
        marks=[pytest.mark.slow, pytest.mark.skipif(not (which('g++') or which('clang++')), reason='no C++ compiler')],
    ),
]


@fused()
def add_mean(images, shift):
    return images + images.mean((1, 2, 3), keepdim=True) + shift[:, None, None, None]


def arguments(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(batch * 12.0).view(batch, 3, 2, 2), torch.ones(batch)


def test_a_cpu_compiles_nothing(monkeypatch):
    monkeypatch.setattr(torch, 'compile', None)
    images, shift = arguments(2)
    assert not fuses(images)
    assert torch.equal(add_mean(images, shift), images + torch.tensor([6.5, 18.5]).view(2, 1, 1, 1))


def test_one_compilation_serves_every_number_of_images(fused_on_cpu):
    counted = []

    def backend(graph, inputs):
        counted.append(graph)
        return graph

    fused_on_cpu(backend)
    images, shift = arguments(6)
    assert fuses(images)
    add_mean(images, shift)
    with torch.compiler.set_stance('fail_on_recompile'):
        for batch in (2, 5, 6, 9, 1):
            images, shift = arguments(batch)
            with torch.set_grad_enabled(batch % 2 == 0):
                out = add_mean(images, shift)
            assert torch.allclose(out, add_mean.__wrapped__(images, shift))
    assert len(counted) == 1 and not base._failures


def test_its_arguments_are_left_alone(fused_on_cpu):
    """A mark that a dimension is variable would reach the model, which may be compiled too."""
    fused_on_cpu('eager')
    images, shift = arguments(4)
    attributes = dir(images)
    add_mean(images, shift)
    assert dir(images) == attributes


def test_gradients_take_the_uncompiled_way(fused_on_cpu):
    fused_on_cpu('eager')
    images, shift = arguments(2)
    add_mean(images.requires_grad_(), shift).sum().backward()
    assert torch.equal(images.grad, torch.full_like(images, 2)) and not base._compiled


def test_the_environment_switches_it_off(fused_on_cpu, monkeypatch):
    fused_on_cpu('eager')
    monkeypatch.setenv('LOOC_MM_FUSED', '0')
    add_mean(*arguments(2))
    assert not fuses(torch.zeros(2, 3, 1, 1)) and not base._compiled


def test_a_failing_compiler_warns_once_and_is_not_asked_again(fused_on_cpu):
    def backend(graph, inputs):
        raise RuntimeError('Cannot find a working triton installation')

    fused_on_cpu(backend)
    images, shift = arguments(3)
    with pytest.warns(RuntimeWarning, match='add_mean: .*working triton.*pip install triton.*LOOC_MM_FUSED=0'):
        out = add_mean(images, shift)
    assert torch.equal(out, add_mean.__wrapped__(images, shift))
    assert not fuses(images)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert torch.equal(add_mean(images, shift), out)


def test_an_error_of_the_function_is_raised_as_it_is(fused_on_cpu):
    fused_on_cpu('eager')
    images, _ = arguments(3)
    with pytest.raises(RuntimeError, match=r'size of tensor a \(3\) must match'):
        add_mean(images, torch.ones(2))
    assert fuses(images), 'the compiler is not to blame'


def test_send_keeps_values_and_converts():
    rows = torch.arange(6).view(2, 3)[:, ::2]
    assert send(rows, rows.device) is rows
    assert torch.equal(send(rows, rows.device, torch.float64), torch.tensor([[0.0, 2], [3, 5]], dtype=torch.float64))


@pytest.fixture
def canvas(photographs) -> torch.Tensor:
    """Eight pieces of photographs, (8, 3, 48, 48) uint8."""
    pieces = torch.from_numpy(photographs[:, 100:292, :384]).unfold(1, 96, 96).unfold(2, 192, 192).flatten(0, 2)
    return pieces[:, :, ::2, ::4].contiguous()


@pytest.mark.parametrize('backend', BACKENDS)
def test_the_gpus_way_to_the_views_is_the_cpus(fused_on_cpu, canvas, generator, backend):
    """All views, normalised, by every fused function; whatever the batch, nothing is compiled twice."""
    preprocessor = LeaveOneOutPreprocessor(LeaveOneOutPipeline(ALL))
    pipeline = preprocessor.pipeline
    tables = {batch: pipeline.sample(batch, generator, (192, 192)) for batch in (8, 7, 3, 2, 1)}
    expected = {batch: pipeline.apply(canvas[:batch], table) for batch, table in tables.items()}
    normalised = preprocessor.normalise(expected[8])
    fused_on_cpu(backend)
    for batch, table in tables.items():
        with torch.compiler.set_stance('default' if batch == 8 else 'fail_on_recompile'):
            views = pipeline.apply(canvas[:batch], table)
            assert (views - expected[batch]).abs().max() < CLOSE
    assert not base._failures and len(base._compiled) == 5
    assert (preprocessor.normalise(expected[8]) - normalised).abs().max() < CLOSE
    assert not base._failures and len(base._compiled) == 6


@pytest.mark.parametrize('name', ['ColorJitter', 'GaussianBlur', 'RandomConvTexture', 'RandomResizedCrop'])
def test_each_augmentation_there_and_here(fused_on_cpu, images, name):
    augmentation = AUGMENTATIONS.build(dict(type=name))
    params = augmentation.sample(len(images), torch.Generator().manual_seed(3), (224, 224))
    expected = augmentation.apply(images, params)
    before = images.clone()
    fused_on_cpu('eager')
    out = augmentation.apply(images, params)
    assert base._compiled and not base._failures
    assert (out - expected).abs().max() < CLOSE
    assert torch.equal(images, before)
    untouched = (expected == images).flatten(1).all(1) if expected.shape == images.shape else torch.zeros(8).bool()
    assert torch.equal(out[untouched], images[untouched]), 'what the coin leaves alone stays as it is to the bit'


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
def test_a_gpu_agrees_with_the_cpu(canvas, generator):
    """Compiled by Triton, for two batch sizes and numbers of chosen images, without another compilation."""
    preprocessor = LeaveOneOutPreprocessor(LeaveOneOutPipeline(ALL))
    tables = {batch: preprocessor.pipeline.sample(batch, generator, (192, 192)) for batch in (8, 5)}
    for batch, table in tables.items():
        expected = preprocessor.pipeline.apply(canvas[:batch], table)
        with torch.compiler.set_stance('default' if batch == 8 else 'fail_on_recompile'):
            views = preprocessor.pipeline.apply(canvas[:batch].cuda(), table)
        assert (views.cpu() - expected).abs().max() < 1e-3
    assert not base._failures
