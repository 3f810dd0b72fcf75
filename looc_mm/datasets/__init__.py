from .factors import Factors
from .folder import ImageFolder
from .in100 import IN100
from .stylized import LoadStylized
from .transforms import LoadCanvas, PackCanvas

__all__ = ['IN100', 'Factors', 'ImageFolder', 'LoadCanvas', 'LoadStylized', 'PackCanvas']
