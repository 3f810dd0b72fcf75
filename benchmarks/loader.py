"""What a worker does to a picture, in pictures per second and core: looc_mm's beside MMPreTrain's that makes the views.

    python benchmarks/loader.py
    python benchmarks/loader.py --quick --json loader.json

From JPEGs of 500 x 375 pixels on disk, which the system keeps in memory, to packed samples; MMPreTrain's are four
views, as many as LooC takes with two spaces. Then the parts that a worker's path could be made of, and a photograph of
12 megapixels. The time is what the process got of its cores, all threads together.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from common import arguments, interleaved, machine, ratio, report
from mmcv.transforms import Compose
from mmengine.registry import init_default_scope
from mmpretrain.registry import TRANSFORMS
from PIL import Image
from recipes import mmpretrain_view, photographs
from torchvision.io import decode_jpeg

from looc_mm.datasets import CanvasShards, LoadCanvas, PackCanvas
from looc_mm.datasets.pack import pack_canvases
from looc_mm.datasets.transforms import decode, to_square

SIZE = 256
BASE = 'MMPreTrain, 4 views'
OURS = 'looc_mm, LoadCanvas and PackCanvas'
CACHE = 'looc_mm, CanvasShards'
LARGE, LARGE_FULL = '12 MP, LoadCanvas', '12 MP, every pixel decoded'
Cases = dict[str, Callable[[], object]]


def written(folder: Path, pictures: list[np.ndarray], quality: int) -> list[str]:
    """Paths of JPEGs."""
    folder.mkdir()
    paths = [str(folder / f'{index:03d}.jpg') for index in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        cv2.imwrite(path, picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return paths


def whole_paths(folder: Path, paths: list[str]) -> Cases:
    """From a path to what the worker hands over."""
    views = dict(type='MultiView', num_views=4, transforms=[mmpretrain_view()])
    steps = [dict(type='LoadImageFromFile'), views, dict(type='PackInputs')]
    mmpretrain = Compose([TRANSFORMS.build(step) for step in steps])
    worker = Compose([LoadCanvas(SIZE), PackCanvas()])
    pipeline = [dict(type='LoadCanvas', size=SIZE), dict(type='PackCanvas')]
    source = dict(type='ImageFolder', data_root=str(Path(paths[0]).parent), pipeline=pipeline)
    pack_canvases(source, folder / 'canvases')
    shards = CanvasShards(str(folder / 'canvases'))
    return {
        BASE: lambda: [mmpretrain({'img_path': path}) for path in paths],
        OURS: lambda: [worker({'img_path': path}) for path in paths],
        CACHE: lambda: [shards[index] for index in range(len(shards))],
    }


def parts(paths: list[str]) -> Cases:
    """Ways to decode, to resize and to pack; each takes all pictures."""
    files = [np.fromfile(path, np.uint8) for path in paths]
    tensors = [torch.from_numpy(file) for file in files]
    decoded = [cv2.imdecode(file, cv2.IMREAD_COLOR) for file in files]
    planes = [torch.from_numpy(img).permute(2, 0, 1)[None] for img in decoded]
    canvases = [to_square(img, SIZE) for img in decoded]
    pack = PackCanvas()
    size = (SIZE, SIZE)
    cases: Cases = {
        'decode: cv2.imdecode': lambda: [cv2.imdecode(file, cv2.IMREAD_COLOR) for file in files],
        'decode: cv2, half the size': lambda: [cv2.imdecode(file, cv2.IMREAD_REDUCED_COLOR_2) for file in files],
        'decode: torchvision': lambda: [decode_jpeg(tensor) for tensor in tensors],
        'decode: Pillow': lambda: [np.asarray(Image.open(path)) for path in paths],
    }
    if find_spec('simplejpeg'):
        import simplejpeg

        cases['decode: simplejpeg'] = lambda: [simplejpeg.decode_jpeg(file, 'BGR') for file in files]
    for name in ('LINEAR', 'AREA', 'CUBIC'):
        filter_ = getattr(cv2, f'INTER_{name}')
        cases[f'resize: cv2 {name}'] = lambda kind=filter_: [cv2.resize(x, size, interpolation=kind) for x in decoded]
    cases['resize: torch, antialias'] = lambda: [
        F.interpolate(x, size, mode='bilinear', antialias=True) for x in planes
    ]
    cases['pack: PackCanvas'] = lambda: [pack({'img': img, 'ori_shape': size}) for img in canvases]
    cases['pack: strided copy'] = lambda: [np.ascontiguousarray(img[..., ::-1].transpose(2, 0, 1)) for img in canvases]
    return cases


def large(path: str) -> Cases:
    """A photograph of 12 megapixels, once a round."""
    load = LoadCanvas(SIZE)
    return {
        LARGE: lambda: load({'img_path': path}),
        LARGE_FULL: lambda: to_square(decode(path), SIZE),
    }


def main() -> None:
    """Time all cases in turns."""
    parser = arguments(__doc__.splitlines()[0])
    args = parser.parse_args()
    init_default_scope('looc_mm')
    rounds, count = (2, 2) if args.quick else (25, 16)
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    with TemporaryDirectory() as folder:
        paths = written(Path(folder, 'pictures'), photographs(count), 95)
        (photo,) = written(Path(folder, 'large'), photographs(1, 3000, 4000), 90)
        cases = whole_paths(Path(folder), paths) | parts(paths)
        counts = dict.fromkeys(cases, count) | {LARGE: 1, LARGE_FULL: 1}
        cases |= large(photo)
        times = interleaved(cases, rounds, clock=process_time)
    rows = []
    for name, spents in times.items():
        typical = median(spents) / counts[name]
        rows.append({'pictures': name, 'ms a picture': typical * 1e3, 'pictures/s': 1 / typical})
    ratios = {f'{name} / {BASE}': ratio(times, BASE, name) for name in (OURS, CACHE)}
    ratios[f'{LARGE} / {LARGE_FULL}'] = ratio(times, LARGE_FULL, LARGE)
    report(f'A worker, {machine("torchvision", "mmpretrain", "opencv-python")}', rows, ratios, args.json)


if __name__ == '__main__':
    main()
