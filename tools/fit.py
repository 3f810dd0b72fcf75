"""The command ``looc fit`` as a file."""

from looc_mm.cli import fit, run_tool

if __name__ == '__main__':
    run_tool(fit)
