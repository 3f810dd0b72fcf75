"""The version, alone in its file so that setup.py can read it without importing torch."""

__version__ = '0.2.0'
