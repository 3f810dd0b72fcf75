import cv2
import numpy as np
import torch
from PIL import Image

from looc_mm.augmentations import RandomResizedCrop

MANY = 20_000


def test_boxes_are_torchvisions(generator):
    """Areas, ratios and places follow torchvision's rules for a wide image, in original pixels."""
    height, width = 300, 500
    box = RandomResizedCrop(size=224).sample(MANY, generator, (height, width))['box']
    left, top, w, h = (box * torch.tensor([width, height, width, height])).unbind(1)
    for pixels in (left, top, w, h):
        assert torch.allclose(pixels, pixels.round(), atol=1e-4), 'boxes are whole pixels of the original'
    assert left.min() >= 0 and top.min() >= 0 and (left + w).max() <= width + 1e-3 and (top + h).max() <= height + 1e-3
    area, ratio = w * h / (height * width), w / h
    assert 0.195 < area.min() < 0.21
    assert 0.79 < area.max() < 0.801, 'the widest box that fits is 400 x 300'
    assert 0.74 < ratio.min() < 0.76 and 1.32 < ratio.max() < 1.35
    slack = width - w > 50
    place = (left / (width - w))[slack]
    assert abs(place.mean() - 0.5) < 0.01 and place.min() < 0.02 and place.max() > 0.98


def test_against_torchvisions_draws(generator):
    """The mean of each box coordinate agrees with torchvision's own sampler."""
    from torchvision.transforms import RandomResizedCrop as Reference

    torch.manual_seed(0)
    image = torch.empty(3, 300, 500)
    theirs = torch.tensor([Reference.get_params(image, [0.2, 1], [3 / 4, 4 / 3]) for _ in range(MANY)]).double()
    box = RandomResizedCrop().sample(MANY, generator, (300, 500))['box']
    ours = (box * torch.tensor([500, 300, 500, 300]))[:, [1, 0, 3, 2]]  # top, left, height, width
    assert torch.allclose(ours.mean(0), theirs.mean(0), rtol=0.02)
    assert torch.allclose(ours.std(0), theirs.std(0), rtol=0.03)


def test_size_may_differ_from_image_to_image(generator):
    sizes = torch.tensor([[100, 400], [400, 100]]).repeat(500, 1)
    box = RandomResizedCrop(scale=(0.9, 1.0)).sample(1000, generator, sizes)['box']
    # Nothing of 0.75 - 1.33 with 90 % of the area fits in 1 : 4, so it is torchvision's central fall-back.
    assert torch.allclose(box[::2], torch.tensor([(400 - 133) / 2 // 1 / 400, 0, 133 / 400, 1]).double(), atol=0.003)
    assert torch.allclose(box[1::2], torch.tensor([0, (400 - 133) / 2 // 1 / 400, 1, 133 / 400]).double(), atol=0.003)


def test_crop_of_a_canvas_is_the_crop_of_the_photograph(photographs, generator):
    """PIL's crop and resize of the original against ours from a 256 px canvas.

    A canvas holds less than the original, so the bound depends on the picture's finest detail: 36 dB for the
    flower, 30 dB for the temple, whose 500 x 375 pixels are sharp to the last.
    """
    crop = RandomResizedCrop(size=224)
    for photo, bound in zip(photographs, (30, 36), strict=True):
        decibels = []
        small = Image.fromarray(photo).resize((500, 375), Image.Resampling.BICUBIC)
        canvas = cv2.resize(np.asarray(small), (256, 256), interpolation=cv2.INTER_LINEAR)
        canvas = torch.from_numpy(canvas).permute(2, 0, 1).float()[None] / 255
        params = crop.sample(16, generator, (375, 500))
        ours = crop.apply(canvas.expand(16, -1, -1, -1), params)
        for view, box in zip(ours, params['box'] * torch.tensor([500, 375, 500, 375]), strict=True):
            left, top, w, h = box.round().int().tolist()
            view_pil = small.resize((224, 224), Image.Resampling.BILINEAR, box=(left, top, left + w, top + h))
            reference = torch.from_numpy(np.asarray(view_pil).copy()).permute(2, 0, 1).float() / 255
            decibels.append(-10 * torch.log10((view - reference).square().mean()))
        assert torch.stack(decibels).mean() > bound
