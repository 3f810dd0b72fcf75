"""The command ``looc export`` as a file."""

from looc_mm.cli import export, run_tool

if __name__ == '__main__':
    run_tool(export)
