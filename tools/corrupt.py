"""The command ``looc corrupt`` as a file."""

from looc_mm.cli import corrupt, run_tool

if __name__ == '__main__':
    run_tool(corrupt)
