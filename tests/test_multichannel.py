"""Pictures with 1, 4 and 12 channels, from the views to evaluation and export."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config

from looc_mm.augmentations import ColorJitter, FromTorchvision, GaussianBlur, RandomConvTexture, StylizedTexture
from looc_mm.augmentations.base import apply_to_channels, check_channels
from looc_mm.config_check.check import check_config
from looc_mm.multichannel import MultiChannelPreprocessor, share_channels
from looc_mm.views import LeaveOneOutPipeline, to_rgb
from tests.datasets.pixels import tiff

SIZE = 32
GEOMETRY = [
    dict(type='RandomResizedCrop', size=SIZE),
    dict(type='HorizontalFlip'),
    dict(type='RandomRightAngleRotation'),
]
COLOR, BLUR = dict(type='ColorJitter'), dict(type='GaussianBlur', prob=1.0)
PIPELINE = dict(type='LeaveOneOutPipeline', augmentations=[*GEOMETRY, COLOR, BLUR])


def canvas(channels: int, batch: int = 4, side: int = 40) -> torch.Tensor:
    return torch.rand(batch, channels, side, side, generator=torch.Generator().manual_seed(channels))


def views(augmentations: list, images: torch.Tensor) -> torch.Tensor:
    pipeline = LeaveOneOutPipeline(augmentations, leave_one_out=[])
    return pipeline.apply(images, pipeline.sample(len(images), torch.Generator().manual_seed(0), (40, 40)))


@pytest.mark.parametrize('channels', [1, 2, 4, 12])
@pytest.mark.parametrize('on_device', [False, True])
def test_geometry_and_blur_treat_each_channel_as_if_it_was_alone(channels, on_device, request):
    if on_device:
        request.getfixturevalue('fused_on_cpu')
    images = canvas(channels)
    whole = views([*GEOMETRY, BLUR], images)
    assert whole.shape == (2, 4, channels, SIZE, SIZE)
    for each in range(channels):
        alone = views([*GEOMETRY, BLUR], images[:, each : each + 1].repeat(1, 3, 1, 1))
        torch.testing.assert_close(whole[:, :, each], alone[:, :, 0], atol=2e-6, rtol=0)


@pytest.mark.parametrize('channels', [4, 12])
@pytest.mark.parametrize('augmentation', [COLOR, dict(type='RandomConvTexture')])
def test_colour_and_texture_change_the_first_three_channels_alone(channels, augmentation):
    images = canvas(channels)
    whole = views([*GEOMETRY, augmentation], images)
    torch.testing.assert_close(whole[:, :, :3], views([*GEOMETRY, augmentation], images[:, :3]), atol=2e-6, rtol=0)
    torch.testing.assert_close(whole[:, :, 3:], views(GEOMETRY, images)[:, :, 3:], atol=2e-6, rtol=0)
    assert not torch.equal(whole[:, :, :3], views(GEOMETRY, images)[:, :, :3])


def test_one_channel_is_grey():
    images, jitter = canvas(1), ColorJitter(prob=1.0)
    params = jitter.sample(4, torch.Generator().manual_seed(1), (40, 40))
    out = apply_to_channels(jitter, images, params)
    assert out.shape == images.shape
    torch.testing.assert_close(out.repeat(1, 3, 1, 1), jitter.apply(images.repeat(1, 3, 1, 1), params))


def test_what_suits_no_channels_is_refused():
    with pytest.raises(ValueError, match=r'ColorJitter.* is for pictures with red, green and blue.*in_channels=2'):
        check_channels(ColorJitter(), 2)
    with pytest.raises(ValueError, match=r'ColorJitter.*in_channels=2'):
        views([COLOR], canvas(2))
    invert = FromTorchvision('RandomInvert')
    with pytest.raises(
        ValueError, match=r'FromTorchvision\(RandomInvert.*does not know.*in_channels=4.*all_channels=True'
    ):
        check_channels(invert, 4)
    for each in (ColorJitter(), GaussianBlur(), RandomConvTexture(), invert):
        check_channels(each, 3)


@pytest.mark.parametrize(('all_channels', 'changed'), [(True, 5), (False, 3)])
def test_the_config_says_whether_a_plug_in_takes_all_channels(all_channels, changed):
    step = dict(type='FromTorchvision', transform='RandomInvert', p=0.5, all_channels=all_channels)
    images = canvas(5)
    out = views([step], images)
    assert f'all_channels={all_channels}' in repr(LeaveOneOutPipeline([step]).augmentations[0])
    inverted = (out - images).abs().amax((3, 4)) > 0  # V x B x C
    assert inverted[:, :, :changed].any() and not inverted[:, :, changed:].any()
    pixels = torch.where(inverted[..., None, None], 1 - images, images)
    torch.testing.assert_close(out, pixels)


def test_a_change_of_size_cannot_be_of_three_channels():
    crop = FromTorchvision('RandomCrop', size=(16, 16), p=1.0)
    crop.all_channels = False
    with pytest.raises(ValueError, match='changes the size of red, green and blue alone'):
        check_channels(crop, 4)


@pytest.mark.parametrize('channels', [1, 4, 12])
@pytest.mark.parametrize('in_bytes', [False, True])
def test_views_are_normalised_by_the_statistics_of_each_channel(channels, in_bytes):
    mean, std = [0.01 * k for k in range(channels)], [0.1 + 0.01 * k for k in range(channels)]
    module = MultiChannelPreprocessor(PIPELINE, channels, mean=mean, std=std)
    module.keep_table = True
    module.extra = LeaveOneOutPipeline(PIPELINE['augmentations'], leave_one_out=[])
    images = canvas(channels)
    images = (255 * images).byte() if in_bytes else images
    out = module({'inputs': images, 'image_size': torch.full((4, 2), 100)}, training=True)
    unit = images.float() / 255 if in_bytes else images
    expected = module.pipeline.apply(unit, out['table'])
    for k in range(channels):
        torch.testing.assert_close(out['inputs'][:, :, k], (expected[:, :, k] - mean[k]) / std[k])
    assert out['extra'].shape == (4, channels, SIZE, SIZE)
    plain = module({'inputs': images})['inputs']
    torch.testing.assert_close(plain[:, -1], (unit[:, -1] - mean[-1]) / std[-1])


def test_default_statistics():
    assert MultiChannelPreprocessor(PIPELINE, 3).mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    module = MultiChannelPreprocessor(PIPELINE, 4, bit_depth=16)
    assert module.mean.flatten().tolist() == [0.5] * 4 and module.std.flatten().tolist() == [0.25] * 4


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(in_channels=2), 'ColorJitter.*in_channels=2'),
        (dict(in_channels=4, mean=[0.5] * 3), 'mean=.*allowed are 4 numbers.*from 0 up to 1'),
        (dict(in_channels=1, std=[0]), 'std=.*allowed are 1 numbers.*above 0'),
        (dict(in_channels=4, window=(3, 2)), r'window=\(3, 2\)'),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MultiChannelPreprocessor(PIPELINE, **settings)


def test_stylised_pictures_are_rgb():
    with pytest.raises(ValueError, match='StylizedTexture.*in_channels=4'):
        MultiChannelPreprocessor(LeaveOneOutPipeline([StylizedTexture(), *GEOMETRY]), 4)


def test_other_canvases_are_refused():
    module = MultiChannelPreprocessor(PIPELINE, 4)
    with pytest.raises(ValueError, match=r'takes a batch \(B, 4, H, W\).*got \(4, 3, 40, 40\)'):
        module({'inputs': canvas(3)})
    with pytest.raises(ValueError, match='got list of 2'):
        module({'inputs': [canvas(4)[0]] * 2})


def test_people_see_three_channels():
    assert torch.equal(to_rgb(canvas(5)), canvas(5)[:, :3])
    assert torch.equal(to_rgb(canvas(2)), canvas(2)[:, :1].expand(-1, 3, -1, -1))
    assert torch.equal(to_rgb(torch.full((1, 2, 2), 51, dtype=torch.uint8)), torch.full((3, 2, 2), 0.2))


def settings(channels: int, folder, **more) -> Config:
    """A training that takes a second, with ``in_channels`` once."""
    load = [dict(type='LoadCanvas', size=40), dict(type='PackCanvas')]
    cfg = Config.fromfile('configs/looc/looc_factors.py')
    cfg.model.data_preprocessor = dict(type='MultiChannelPreprocessor', pipeline=PIPELINE, in_channels=channels, **more)
    cfg.model.neck.queue_len = 16
    cfg.train_dataloader.update(
        batch_size=8,
        num_workers=0,
        persistent_workers=False,
    )
    cfg.train_dataloader.dataset = dict(type='ImageFolder', data_root=str(folder), pipeline=load)
    cfg.train_cfg.max_epochs = 1
    return cfg


def evaluation(folder) -> Config:
    cfg = Config.fromfile('configs/linear_eval/folder.py')
    load = [
        dict(type='LoadImageFromFile'),
        dict(type='ResizeShortEdge', scale=37),
        dict(type='CenterCrop', crop_size=SIZE),
        dict(type='PackCanvas', label_keys=('gt_label',)),
    ]
    dataset = dict(type='ImageFolder', with_label=True, data_root=str(folder), pipeline=load)
    for loader in (cfg.test_dataloader, cfg.test_cfg.train_dataloader):
        loader.update(batch_size=8, num_workers=0, persistent_workers=False)
        loader.dataset = dataset
    return cfg


def test_in_channels_reaches_every_part():
    cfg = settings(12, 'data', window=[0, 10000])
    share_channels(cfg)
    assert cfg.model.backbone.in_channels == 12
    step = cfg.train_dataloader.dataset.pipeline[0]
    assert (step.in_channels, list(step.window)) == (12, [0, 10000]) and 'bit_depth' not in step
    check_config(cfg)
    once = cfg.to_dict()
    share_channels(cfg)
    assert cfg.to_dict() == once
    cfg.model.data_preprocessor.in_channels = 5
    with pytest.raises(ValueError, match=r'backbone.in_channels=12, and model.data_preprocessor.in_channels=5'):
        share_channels(cfg)
    with pytest.raises(ValueError, match=r'model.backbone.in_channels: got 12; allowed: 5.*MultiChannelPreprocessor'):
        check_config(cfg)


def pictures(root, channels: int, kind: str) -> None:
    """Two classes that differ in the last channel alone, 14 pictures each."""
    rng = np.random.default_rng(0)
    for label, level in (('dark', 0.2), ('light', 0.8)):
        (root / label).mkdir(parents=True)
        for number in range(14):
            pixels = rng.random((44, 40, channels))
            pixels[..., -1] = (level + 0.2 * (pixels[..., -1] - 0.5)).clip(0, 1)
            path = root / label / str(number)
            if kind == 'uint8':
                np.save(path.with_suffix('.npy'), (255 * pixels).astype(np.uint8))
            elif kind == 'uint16':
                path.with_suffix('.tif').write_bytes(tiff((4095 * pixels).astype(np.uint16)))
            else:
                path.with_suffix('.tif').write_bytes(tiff((500 * pixels - 100).astype(np.float32), block=(16, 16)))


@pytest.mark.parametrize(
    ('channels', 'kind', 'values'),
    [(1, 'uint16', dict(bit_depth=12)), (4, 'uint8', {}), (12, 'float', dict(window=[-100, 400]))],
)
def test_from_training_to_export(tmp_path, monkeypatch, channels, kind, values):
    from looc_mm.cli.test import test as evaluate
    from looc_mm.cli.train import train
    from looc_mm.export import export_onnx, export_state_dict, get_features, load_model

    pictures(tmp_path / 'data', channels, kind)
    settings(channels, tmp_path / 'data', **values).dump(tmp_path / 'train.py')
    evaluation(tmp_path / 'data').dump(tmp_path / 'test.py')
    monkeypatch.chdir(tmp_path)
    train(tmp_path / 'train.py', work_dir=tmp_path / 'run')
    checkpoint = tmp_path / 'run/epoch_1.pth'
    found = evaluate(tmp_path / 'test.py', checkpoint, work_dir=tmp_path / 'result', cache='none')
    assert found['linear/folder/top1'] > 90, 'the classes differ in the last channel alone'

    model = load_model(checkpoint)
    features = get_features(model, tmp_path / 'data')
    assert features.shape == (28, 128)
    about = export_onnx(model, tmp_path / 'net.onnx', size=SIZE)
    assert about['in_channels'] == channels and len(about['mean']) == channels
    scale = {'uint8': 255, 'uint16': 4095, 'float': 500}[kind]
    path = sorted((tmp_path / 'data/light').iterdir())[0]
    grey_level = 0.02 if kind == 'uint8' else 1e-3  # resizing bytes rounds; 0.008 was measured, features reach 0.5
    by_hand = check_onnx(tmp_path, path, about, scale, channels)
    assert by_hand == pytest.approx(get_features(model, [path], size=SIZE)[0].numpy(), abs=grey_level)
    if channels == 12:
        wide = export_state_dict(model, tmp_path / 'net.pth', names='mmpretrain')
        assert wide['in_channels'] == 12
        assert torch.load(tmp_path / 'net.pth')['conv1.weight'].shape[1] == 12
    assert json.loads((tmp_path / 'result/results.json').read_text())


@pytest.mark.slow
def test_a_comparison_of_labelled_pictures(tmp_path, monkeypatch):
    from looc_mm.answer import answer
    from looc_mm.cli.train import train

    pictures(tmp_path / 'data', 4, 'uint8')
    settings(4, tmp_path / 'data').dump(tmp_path / 'train.py')
    monkeypatch.chdir(tmp_path)
    train(tmp_path / 'train.py', work_dir=tmp_path / 'run')
    rows = answer(tmp_path / 'run', tmp_path / 'data', sizes=[SIZE], device='cpu').rows
    assert {'V', 'colour histogram', 'HOG'} <= {row.name for row in rows}


def check_onnx(folder, path, about, scale, channels) -> np.ndarray:
    """Features of a file by ONNX Runtime, from its own values: windowed, resized, cropped and normalised by hand."""
    import onnxruntime
    import torch.nn.functional as F

    from looc_mm.datasets.channels import read_npy
    from looc_mm.datasets.tiff import read_tiff

    data = path.read_bytes()
    pixels = read_npy(data, channels) if path.suffix == '.npy' else read_tiff(data, lambda *size: None)
    offset = 100 if scale == 500 else 0
    unit = torch.from_numpy((pixels.astype(np.float32) + offset) / scale).permute(2, 0, 1)[None]
    short = round(about['view_size'] * 8 / 7)
    size = (short * 44 // 40, short)
    unit = F.interpolate(unit, size, mode='bilinear', align_corners=False, antialias=True)
    if scale == 255:
        unit = (255 * unit).round() / 255
    top, left = (round((side - SIZE) / 2) for side in size)
    unit = unit[..., top : top + SIZE, left : left + SIZE]
    mean, std = (torch.tensor(about[key]).view(-1, 1, 1) for key in ('mean', 'std'))
    session = onnxruntime.InferenceSession(folder / 'net.onnx', providers=['CPUExecutionProvider'])
    return session.run(['V'], {'images': ((unit - mean) / std).numpy()})[0][0]


def test_a_picture_with_another_number_of_channels_stops_a_training_by_name(tmp_path, monkeypatch):
    from looc_mm.cli.train import train

    pictures(tmp_path / 'data', 4, 'uint8')
    settings(5, tmp_path / 'data').dump(tmp_path / 'train.py')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r'\.npy. has 4 channels, and model.data_preprocessor.in_channels=5 is set'):
        train(tmp_path / 'train.py', work_dir=tmp_path / 'run')


def test_canvases_in_shards_are_rgb():
    from looc_mm.datasets.shards import split_pipeline

    cfg = settings(4, 'data')
    share_channels(cfg)
    with pytest.raises(ValueError, match='in_channels=4; canvases in shards are JPEGs'):
        split_pipeline(cfg.train_dataloader.dataset)
