"""The command ``looc demo`` as a file."""

from looc_mm.cli import demo, run_tool

if __name__ == '__main__':
    run_tool(demo)
