"""Style transfer, and folder trees of pictures stylised by it."""

from .adain import Stylizer, adain
from .tree import Report, Settings, digest, stylize_tree

__all__ = ['Report', 'Settings', 'Stylizer', 'adain', 'digest', 'stylize_tree']
