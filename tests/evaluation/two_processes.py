"""Run by test_features.py under torchrun: what each of two processes extracts."""

import sys
from pathlib import Path

import torch
from fake import FakeImages, FakeModel
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader

from looc_mm.evaluation import extract

if __name__ == '__main__':
    folder = Path(sys.argv[1])
    torch.distributed.init_process_group('gloo')
    model = FakeModel()
    model.load_state_dict(torch.load(folder / 'model.pth'))
    data = FakeImages()
    loader = DataLoader(data, batch_size=4, sampler=DefaultSampler(data, shuffle=False, seed=0))
    result = {rotate: vars(extract(model, loader, rotate, 5).select()) for rotate in (None, 'random', 'all')}
    torch.save(result, folder / f'rank{torch.distributed.get_rank()}.pth')
    torch.distributed.destroy_process_group()
