"""Views of MoCo v2's recipe per second: looc_mm's beside MMPreTrain's, torchvision's, albumentations' and kornia's.

    python benchmarks/views.py
    python benchmarks/views.py --quick --json views.json

From decoded pictures of 500 x 375 pixels to views of 224. On a CPU the time is what the process got of its cores, all
threads together, so it is views per second and core; on a GPU it is wall time, and looc_mm and kornia run there.
"""

from collections.abc import Callable
from importlib.util import find_spec
from statistics import median
from time import perf_counter, process_time

import cv2
import numpy as np
import torch
from common import DEVICE, arguments, interleaved, machine, ratio, report
from mmcv.transforms import Compose
from mmengine.dataset import default_collate
from mmengine.registry import init_default_scope
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageFilter
from recipes import MOCO, ROTATION, mmpretrain_view, photographs
from torch import Tensor
from torchvision.transforms import transforms as v1
from torchvision.transforms import v2

from looc_mm.datasets import LoadCanvas, PackCanvas
from looc_mm.views import LeaveOneOutPipeline

BASE = 'MMPreTrain'
OURS = 'looc_mm'
Case = tuple[Callable[[], object], int]  # what is timed, and how many views it makes


def looc_mm(pictures: list[np.ndarray]) -> dict[str, Case]:
    """Views from canvases on the device; in one case canvases are made from the pictures too."""
    load, pack = LoadCanvas(256), PackCanvas()
    sizes = torch.tensor([picture.shape[:2] for picture in pictures])

    def canvases() -> Tensor:
        return default_collate([pack(load({'img': picture})) for picture in pictures])['inputs'].to(DEVICE)

    def views(augmentations: list[dict], leave_one_out: tuple[str, ...] = ()) -> Case:
        pipeline = LeaveOneOutPipeline(augmentations, leave_one_out)

        def work() -> Tensor:
            return pipeline.apply(canvas, pipeline.sample(len(canvas), None, sizes))

        return work, len(pictures) * len(pipeline.views)

    canvas = canvases()
    moco = LeaveOneOutPipeline(MOCO, leave_one_out=[])
    return {
        OURS: (lambda: moco.apply(canvases(), moco.sample(len(pictures), None, sizes)), 2 * len(pictures)),
        f'{OURS}, canvases ready': views(MOCO),
        f'{OURS}, canvases ready, rotation, n = 2': views([*MOCO[:2], ROTATION, *MOCO[2:]], ('rotation', 'color')),
        f'{OURS}, canvases ready, crop and flip alone': views(MOCO[:2]),
        f'{OURS}, canvases ready, without blur': views(MOCO[:3]),
    }


def mmpretrain(pictures: list[np.ndarray]) -> Case:
    """MMPreTrain's own pipeline, on BGR arrays."""
    view = Compose([TRANSFORMS.build(step) for step in mmpretrain_view()])
    return lambda: [view({'img': picture})['img'] for picture in pictures], len(pictures)


def torchvision_v1(pictures: list[np.ndarray]) -> Case:
    """MoCo's own code: torchvision on PIL images, and PIL's blur."""
    blur = v1.Lambda(lambda image: image.filter(ImageFilter.GaussianBlur(float(np.random.uniform(0.1, 2)))))
    jitter = v1.ColorJitter(0.4, 0.4, 0.4, 0.1)
    steps = [v1.RandomResizedCrop(224, (0.2, 1)), v1.RandomApply([jitter], 0.8), v1.RandomGrayscale(0.2)]
    view = v1.Compose([*steps, v1.RandomApply([blur], 0.5), v1.RandomHorizontalFlip(), v1.ToTensor()])
    images = [Image.fromarray(picture[..., ::-1]) for picture in pictures]
    return lambda: [view(image) for image in images], len(images)


def torchvision_v2(pictures: list[np.ndarray]) -> Case:
    """torchvision's transforms of tensors, on uint8 ones."""
    jitter, blur = v2.ColorJitter(0.4, 0.4, 0.4, 0.1), v2.GaussianBlur(13, (0.1, 2))
    steps = [v2.RandomResizedCrop(224, (0.2, 1)), v2.RandomApply([jitter], 0.8), v2.RandomGrayscale(0.2)]
    view = v2.Compose([*steps, v2.RandomApply([blur], 0.5), v2.RandomHorizontalFlip()])
    images = [torch.from_numpy(picture[..., ::-1].copy()).permute(2, 0, 1).contiguous() for picture in pictures]
    return lambda: [view(image) for image in images], len(images)


def albumentations(pictures: list[np.ndarray]) -> Case:
    """On RGB arrays of bytes."""
    import albumentations as A

    view = A.Compose(
        [
            A.RandomResizedCrop((224, 224), (0.2, 1)),
            A.ColorJitter((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-0.1, 0.1), p=0.8),
            A.ToGray(p=0.2),
            A.GaussianBlur(blur_limit=0, sigma_limit=(0.1, 2), p=0.5),
            A.HorizontalFlip(),
        ]
    )
    images = [np.ascontiguousarray(picture[..., ::-1]) for picture in pictures]
    return lambda: [view(image=image) for image in images], len(images)


def kornia(pictures: list[np.ndarray]) -> Case:
    """On one batch of float tensors, on the device."""
    from kornia import augmentation as K

    view = torch.nn.Sequential(
        K.RandomResizedCrop((224, 224), (0.2, 1)),
        K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        K.RandomGrayscale(p=0.2),
        K.RandomGaussianBlur((13, 13), (0.1, 2), p=0.5),
        K.RandomHorizontalFlip(),
    )
    batch = torch.from_numpy(np.stack(pictures)[..., ::-1].copy()).permute(0, 3, 1, 2).contiguous().float() / 255
    batch = batch.to(DEVICE)
    return lambda: view(batch), len(batch)


def main() -> None:
    """Time all cases in turns."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument('--batch', type=int, default=32 if DEVICE.type == 'cpu' else 256, help='pictures in a round')
    args = parser.parse_args()
    rounds, batch = (2, 2) if args.quick else (15, args.batch)
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    init_default_scope('looc_mm')
    pictures = photographs(batch)
    cases = {BASE: mmpretrain(pictures), 'torchvision v1, PIL': torchvision_v1(pictures)}
    cases['torchvision v2, uint8'] = torchvision_v2(pictures)
    for case in (albumentations, kornia):
        if find_spec(case.__name__):
            cases[case.__name__] = case(pictures)
        else:
            print(f'{case.__name__} is not installed: left out')
    cases |= looc_mm(pictures)

    clock = process_time if DEVICE.type == 'cpu' else perf_counter
    times = interleaved({name: work for name, (work, _) in cases.items()}, rounds, clock=clock)
    per_view = {name: [spent / cases[name][1] for spent in spents] for name, spents in times.items()}
    rows = []
    for name, spents in per_view.items():
        typical = median(spents)
        rows.append({'views': name, 'ms a view': typical * 1e3, 'views/s': 1 / typical})
        rows[-1][f'x {BASE}'] = ratio(per_view, BASE, name)
    ratios = {f'{name} / {BASE}': ratio(per_view, BASE, name) for name in per_view if name.startswith(OURS)}
    report(f'Views of 224 px, {machine("torchvision", "mmpretrain")}', rows, ratios, args.json)


if __name__ == '__main__':
    main()
