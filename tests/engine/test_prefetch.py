import torch
from torch.utils.data import DataLoader

from looc_mm.engine import Prefetched


class Squares(torch.utils.data.Dataset):
    read: list[int] = []

    def __len__(self):
        return 7

    def __getitem__(self, i):
        self.read.append(i)
        return {'inputs': torch.tensor(i * i), 'image_size': torch.tensor([i, i])}


def test_the_loaders_batches_in_its_order():
    loader = DataLoader(Squares(), 2)
    for _ in range(2):  # every epoch
        batches = list(Prefetched(loader, torch.device('cpu')))
        assert [batch['inputs'].tolist() for batch in batches] == [[0, 1], [4, 9], [16, 25], [36]]
        assert [batch['image_size'].tolist() for batch in batches][-1] == [[6, 6]]
    assert list(Prefetched(DataLoader([]), torch.device('cpu'))) == []


def test_images_and_candidates_go_to_the_device_and_the_rest_stays():
    batch = {'inputs': torch.ones(2), 'candidates': torch.ones(2, 4), 'image_size': torch.ones(2), 'labels': {}}
    (moved,) = Prefetched([batch], torch.device('meta'))
    where = {key: value.device.type for key, value in moved.items() if key != 'labels'}
    assert where == {'inputs': 'meta', 'candidates': 'meta', 'image_size': 'cpu'} and moved['labels'] == {}


def test_it_is_one_batch_ahead():
    data = Squares()
    data.read = []
    batches = iter(Prefetched(DataLoader(data, 2), torch.device('cpu')))
    next(batches)
    assert data.read == [0, 1, 2, 3]


def test_other_kinds_of_batches_pass():
    listed = [[torch.ones(2), 'a'], {'inputs': [torch.ones(1)]}]
    assert list(Prefetched(listed, torch.device('cpu'))) == listed


def test_the_rest_is_the_loaders():
    loader = DataLoader(Squares(), 2)
    prefetched = Prefetched(loader, torch.device('cpu'))
    assert len(prefetched) == 4 and prefetched.dataset is loader.dataset and prefetched.batch_size == 2


def test_training_with_it_is_training_without_it(build_runner):
    ends = []
    for hooks in ([], [dict(type='PrefetchBatches')]):
        runner = build_runner(custom_hooks=[dict(type='PlainCheckpoint'), *hooks])
        runner.train()
        ends.append(runner.model.linear.weight.detach().clone())
    assert isinstance(runner.train_loop.dataloader, Prefetched)
    assert torch.equal(*ends) and ends[0].abs().sum() > 0


def test_a_training_by_iterations_uses_it_too(build_runner):
    runner = build_runner(
        train_cfg=dict(_delete_=True, by_epoch=False, max_iters=5),
        train_dataloader__sampler__type='InfiniteSampler',
        param_scheduler=[],
        default_hooks__checkpoint__by_epoch=False,
    )
    runner.train()
    assert runner.iter == 5 and isinstance(runner.train_loop.dataloader, Prefetched)
