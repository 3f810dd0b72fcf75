"""Style transfer, and folder trees of pictures stylised by it."""

from .adain import Stylizer, adain
from .tree import Settings, digest, stylize_tree

__all__ = ['Settings', 'Stylizer', 'adain', 'digest', 'stylize_tree']
