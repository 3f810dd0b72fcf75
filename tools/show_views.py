"""The command ``looc show-views`` as a file."""

from looc_mm.cli import run_tool, show_views

if __name__ == '__main__':
    run_tool(show_views)
