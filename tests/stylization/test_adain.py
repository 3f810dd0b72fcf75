import pytest
import torch
from torch import nn

from looc_mm.stylization import Stylizer, adain

# Index of each convolution in pytorch-AdaIN's files: (out, in, side of the kernel).
VGG = {0: (3, 3, 1), 2: (64, 3, 3), 5: (64, 64, 3), 9: (128, 64, 3), 12: (128, 128, 3), 16: (256, 128, 3)}
VGG |= dict.fromkeys((19, 22, 25), (256, 256, 3)) | {29: (512, 256, 3)}
BEHIND = dict.fromkeys((32, 35, 38, 42, 45, 48, 51), (512, 512, 3))
DECODER = {1: (256, 512, 3), 5: (256, 256, 3), 8: (256, 256, 3), 11: (256, 256, 3), 14: (128, 256, 3)}
DECODER |= {18: (128, 128, 3), 21: (64, 128, 3), 25: (64, 64, 3), 28: (3, 64, 3)}


def state(convs, seed=0):
    generator, made = torch.Generator().manual_seed(seed), {}
    for index, (wide, narrow, side) in convs.items():
        shape = (wide, narrow, side, side)
        made[f'{index}.weight'] = torch.randn(shape, generator=generator) * (2 / (narrow * side**2)) ** 0.5
        made[f'{index}.bias'] = torch.randn(wide, generator=generator) * 0.1
    return made


def behind():
    """The convolutions that do not count, at the right shapes and hardly any bytes."""
    shapes = {f'{index}.weight': (*sides, 3) for index, sides in BEHIND.items()}
    shapes |= {f'{index}.bias': (512,) for index in BEHIND}
    return {key: torch.zeros(1).expand(shape) for key, shape in shapes.items()}


def chain(images, weights, resize):
    """The files' networks one convolution at a time; ``resize`` {index of a convolution: what comes before it}."""
    for index in sorted({int(key.split('.')[0]) for key in weights}):
        images = resize.get(index, nn.Identity())(images)
        weight, bias = weights[f'{index}.weight'], weights[f'{index}.bias']
        if weight.shape[-1] == 3:
            images = nn.functional.pad(images, (1, 1, 1, 1), mode='reflect')
        images = nn.functional.conv2d(images, weight, bias)
        if index not in (0, 28):
            images = images.relu()
    return images


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('weights')
    old = dict(_use_new_zipfile_serialization=False)  # the published files are of that time
    torch.save(state(VGG) | behind(), folder / 'vgg_normalised.pth', **old)
    torch.save(state(DECODER, 1), folder / 'decoder.pth', **old)
    return folder / 'vgg_normalised.pth', folder / 'decoder.pth'


def test_adain_against_one_channel_at_a_time(generator):
    content = torch.randn(2, 5, 7, 6, generator=generator) * 3 + 1
    style = torch.randn(2, 5, 4, 9, generator=generator) * torch.rand(5, 1, 1, generator=generator) - 2
    out = adain(content, style)
    for image in range(2):
        for channel in range(5):
            x, y = content[image, channel].double(), style[image, channel].double()
            mean_x, mean_y = x.sum() / x.numel(), y.sum() / y.numel()
            std_x = ((x - mean_x).square().sum() / x.numel()).sqrt()
            std_y = ((y - mean_y).square().sum() / y.numel()).sqrt()
            expected = std_y * (x - mean_x) / std_x + mean_y
            assert (out[image, channel] - expected).abs().max() < 1e-3
            assert abs(out[image, channel].mean() - mean_y) < 1e-4
            assert abs(out[image, channel].std(correction=0) - std_y) < 1e-3


def test_adain_of_a_channel_that_is_flat_is_the_styles_mean():
    out = adain(torch.ones(1, 2, 4, 4), torch.rand(1, 2, 4, 4))
    assert out.isfinite().all() and out.std((2, 3)).max() < 1e-6


@torch.no_grad()
def test_files_in_the_published_layout_give_the_published_network(files, generator):
    stylizer = Stylizer(*files)
    content = torch.rand(2, 3, 40, 50, generator=generator)  # 50 is no multiple of 8
    style = torch.rand(2, 3, 32, 32, generator=generator)
    pool, up = nn.MaxPool2d(2, ceil_mode=True), nn.Upsample(scale_factor=2, mode='nearest')
    x, y = (chain(images, state(VGG), {9: pool, 16: pool, 29: pool}) for images in (content, style))
    assert torch.allclose(stylizer.encoder(content), x, atol=1e-4)
    for alpha in (1.0, 0.3, 0.0):
        mixed = alpha * adain(x, y) + (1 - alpha) * x
        expected = chain(mixed, state(DECODER, 1), {5: up, 18: up, 25: up})
        assert expected.shape == (2, 3, 40, 56)
        out = stylizer(content, stylizer.style(style)[:, None], alpha)
        assert out.shape == (2, 1, 3, 40, 50)
        assert torch.allclose(out[:, 0], expected[..., :50].clamp(0, 1), atol=1e-3)


def test_several_styles_are_each_as_alone(generator):
    stylizer = Stylizer()
    content, style = torch.rand(2, 3, 24, 24, generator=generator), torch.rand(6, 3, 24, 24, generator=generator)
    styles = stylizer.style(style).unflatten(0, (2, 3))
    out = stylizer(content, styles)
    assert out.shape == (2, 3, 3, 24, 24) and out.min() >= 0 and out.max() <= 1
    for image in range(2):
        for number in range(3):
            alone = stylizer(content[image : image + 1], styles[image : image + 1, number : number + 1])
            assert torch.allclose(out[image, number], alone[0, 0], atol=1e-4)


def test_random_weights_are_the_same_each_time_and_draw_nothing_else():
    before = torch.get_rng_state()
    first, second = Stylizer().state_dict(), Stylizer().state_dict()
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert torch.equal(before, torch.get_rng_state())


def test_other_files_are_refused(files, tmp_path):
    vgg, decoder = files
    with pytest.raises(ValueError, match=r'decoder\.pth is not what --vgg takes.*entries differ.*0\.weight: missing'):
        Stylizer(decoder, decoder)
    with pytest.raises(ValueError, match=r'vgg_normalised\.pth is not what --decoder takes.*pytorch-AdaIN'):
        Stylizer(vgg, vgg)
    other = tmp_path / 'other.pth'
    for content in (state(DECODER) | {'28.bias': torch.zeros(4)}, state(DECODER) | {'31.bias': torch.zeros(4)}, [1, 2]):
        torch.save(content, other)
        with pytest.raises(ValueError, match=r'other\.pth is not what --decoder takes'):
            Stylizer(vgg, other)
    torch.save(nn.Linear(2, 2), other)
    with pytest.raises(ValueError, match=r'other\.pth is no state dict'):
        Stylizer(other, decoder)
    for text in (b'<html>404</html>', b''):
        other.write_bytes(text)
        with pytest.raises(ValueError, match=r'other\.pth is no state dict'):
            Stylizer(other, decoder)
    with pytest.raises(FileNotFoundError):
        Stylizer(tmp_path / 'gone.pth', decoder)
