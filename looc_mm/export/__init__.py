from looc_mm.checkpoint import load_model

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

__all__ = [
    'check_table',
    'default_device',
    'export_onnx',
    'export_state_dict',
    'get_features',
    'list_images',
    'load_model',
    'picture_source',
    'view_size',
    'write_features',
]
