from .page import build_page, to_html, to_markdown, write_pages
from .published import DATASETS, METHODS, TABLES
from .results import aggregate, collect, find_method, find_results

__all__ = [
    'DATASETS',
    'METHODS',
    'TABLES',
    'aggregate',
    'build_page',
    'collect',
    'find_method',
    'find_results',
    'to_html',
    'to_markdown',
    'write_pages',
]
