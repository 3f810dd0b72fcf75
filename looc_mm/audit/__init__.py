"""What networks still know about each augmentation, measured on pictures without labels."""

from .audit import audit
from .networks import Network, load_networks, of_model
from .protocol import AuditProtocol
from .report import Audit, Cell, draw_audit, write

__all__ = ['Audit', 'AuditProtocol', 'Cell', 'Network', 'audit', 'draw_audit', 'load_networks', 'of_model', 'write']
