"""The command ``looc audit`` as a file."""

from looc_mm.cli import audit, run_tool

if __name__ == '__main__':
    run_tool(audit)
