"""Run by test_cache.py under torchrun: two processes, each with a cache folder of its own, extract twice."""

import sys
from pathlib import Path

import torch
from fake import FakeImages, FakeModel
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader

from looc_mm.evaluation import FeatureSource

if __name__ == '__main__':
    folder = Path(sys.argv[1])
    torch.distributed.init_process_group('gloo')
    rank = torch.distributed.get_rank()
    model = FakeModel()
    model.load_state_dict(torch.load(folder / 'model.pth'))
    data = FakeImages()
    loader = DataLoader(data, batch_size=4, sampler=DefaultSampler(data, shuffle=False, seed=0))
    for run in (1, 2):
        source = FeatureSource(model, {'test': loader}, name='fake', cache=folder / f'host_{rank}')
        torch.save(source.features('test').x, folder / f'{run}_{rank}.pth')
    torch.distributed.destroy_process_group()
