from looc_mm.checkpoint import load_model

from .card import Training, training_facts
from .features import (
    check_table,
    default_device,
    get_features,
    list_images,
    picture_source,
    view_size,
    write_features,
)
from .network import export_onnx, export_state_dict
from .timm_hub import export_timm_hub
from .weights import export_weights

__all__ = [
    'Training',
    'check_table',
    'default_device',
    'export_onnx',
    'export_state_dict',
    'export_timm_hub',
    'export_weights',
    'get_features',
    'list_images',
    'load_model',
    'picture_source',
    'training_facts',
    'view_size',
    'write_features',
]
