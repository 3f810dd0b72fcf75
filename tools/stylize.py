"""The command ``looc stylize`` as a file."""

from looc_mm.cli import run_tool, stylize

if __name__ == '__main__':
    run_tool(stylize)
