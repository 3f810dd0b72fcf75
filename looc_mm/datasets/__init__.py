from .broken import ReplaceBroken
from .checks import Part
from .contained import ContainedPictures
from .cub import CUB
from .factors import Factors
from .flowers102 import Flowers102
from .folder import ImageFolder
from .hugging_face import HuggingFaceDataset
from .imagenet_c import CorruptedFolder, ImageNetC
from .in100 import IN100
from .inat2019 import INat2019
from .objectnet import CropBorder, ObjectNet13
from .partial_epochs import PartialEpochs
from .shards import CanvasShards, ShardSampler
from .stylized import LoadStylized
from .transforms import LoadCanvas, LoadImageFromFile, PackCanvas, ResizeShortEdge
from .web_dataset import WebDatasetTars

__all__ = [
    'CUB',
    'CanvasShards',
    'ContainedPictures',
    'CorruptedFolder',
    'CropBorder',
    'Factors',
    'Flowers102',
    'HuggingFaceDataset',
    'IN100',
    'INat2019',
    'ImageFolder',
    'ImageNetC',
    'LoadCanvas',
    'LoadImageFromFile',
    'LoadStylized',
    'ObjectNet13',
    'PackCanvas',
    'Part',
    'PartialEpochs',
    'ReplaceBroken',
    'ResizeShortEdge',
    'ShardSampler',
    'WebDatasetTars',
]
