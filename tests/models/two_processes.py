"""One process of two: a training step, and what the parts of it hold afterwards, saved for the test to compare."""

import sys
from pathlib import Path

import torch
from mmengine.logging import MessageHub
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from torch.distributed import destroy_process_group, get_rank, init_process_group
from torch.nn.parallel import DistributedDataParallel

from looc_mm.models.shuffled_bn import Shuffle
from tests.models.test_multi_head_moco import build
from tests.models.test_multi_head_simclr import simclr
from tests.models.test_split_bn import SPLIT

out = Path(sys.argv[1])
init_process_group('gloo')
rank = get_rank()
MessageHub.get_instance('two').update_info_dict(dict(seed=0, iter=3))

order = Shuffle(4, torch.Generator().manual_seed(0))
images = torch.arange(4.0)[:, None].expand(4, 5) + 4 * rank
shuffled = order.shuffle(images)
saved = {'images': images, 'shuffled': shuffled, 'restored': order.restore(shuffled)}

model = build()
model.init_weights()
canvas = torch.randint(0, 255, (8, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(9))
views = model.data_preprocessor({'inputs': canvas[:4]}, training=True)['inputs']  # the same images on each rank
saved['views'] = views

neck = build().neck
saved['own_keys'] = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(rank))
neck.enqueue(saved['own_keys'])
saved['enqueued'] = neck.queue()

wrapped = DistributedDataParallel(model, broadcast_buffers=False)
optimizer = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1))
inputs = torch.randn(4, 8, 3, 32, 32, generator=torch.Generator().manual_seed(7))[:, 4 * rank : 4 * rank + 4]
with torch.no_grad():
    model.key_backbone.eval()  # with fixed statistics, company does not matter: one process must give the same keys
    saved['keys'] = model.encode_keys(inputs[1:], lambda v: model.project_keys(model.key_heads, v))
    model.key_backbone.train()
losses = wrapped(inputs, mode='loss')
optimizer.update_params(losses['loss'])
saved['state'] = model.state_dict()
saved['queue'] = model.neck.queue()

init_default_scope('looc_mm')
model = build(backbone=SPLIT)
model.init_weights()
wrapped = MMDistributedDataParallel(model, device_ids=None, broadcast_buffers=False)
optimizer = OptimWrapper(
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1), accumulative_counts=2
)
saved['split_keys'] = []
for _ in range(3):
    with optimizer.optim_context(wrapped):
        losses = wrapped(inputs, mode='loss')
    optimizer.update_params(losses['loss'])
    saved['split_keys'].append(model.key_backbone.conv1.weight.clone())
saved['split_state'] = model.state_dict()

model = simclr()
model.init_weights()
model.backbone.eval()
wrapped = DistributedDataParallel(model, broadcast_buffers=False)
losses = wrapped(inputs, mode='loss')
losses['loss'].backward()
saved['simclr_loss'] = losses['loss'].item()
saved['simclr_grads'] = {name: parameter.grad for name, parameter in model.named_parameters()}
torch.save(saved, out / f'{rank}.pth')
destroy_process_group()
