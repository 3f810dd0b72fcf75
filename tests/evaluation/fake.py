"""The smallest model and dataset that evaluation can run on, registered for configs."""

import torch
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

from looc_mm.registry import DATASETS, MODELS


class FakePreprocessor(nn.Module):
    def forward(self, batch, training):
        assert not training
        return {'inputs': batch['inputs'].float() / 255}


@MODELS.register_module(force=True)
class FakeModel(BaseModel):
    """V is a pooled convolution, the spaces are slices of it."""

    representation_names = ('V', 'invariant', 'rotation')

    def __init__(self, width=8):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.width = width
        self.data_preprocessor = FakePreprocessor()

    def forward(self, inputs, mode='tensor'):
        raise NotImplementedError

    def representations(self, images):
        v = self.backbone(images).flatten(2).mean(-1)  # (B, C)
        return {'V': v, 'invariant': v[:, : self.width // 2], 'rotation': v[:, self.width // 2 :]}


@DATASETS.register_module(force=True)
class FakeImages(Dataset):
    """Noise with a class in its brightness; the top left corner is white."""

    def __init__(self, length=21, num_classes=3, seed=0, size=8, corruption=None, severity=0, pipeline=()):
        draw = torch.Generator().manual_seed(seed)
        self.label = torch.randint(num_classes, (length,), generator=draw)
        noise = torch.randint(60, (length, 3, size, size), generator=draw)
        self.images = (noise + 40 * self.label[:, None, None, None]).to(torch.uint8)
        self.images[:, :, 0, 0] = 255
        self.images //= 1 + severity * (corruption == 'fog')

    serialize_data = False

    def full_init(self):
        self.data_list = self.load_data_list()

    def load_data_list(self):
        return [{'row': image.tolist()} for image in self.images]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        labels = {'gt_label': self.label[i], 'shape': self.label[i] % 2}
        return {'inputs': self.images[i], 'image_size': torch.tensor([8, 8]), 'labels': labels}
