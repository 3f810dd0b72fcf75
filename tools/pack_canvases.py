"""The command ``looc pack-canvases`` as a file."""

from looc_mm.cli import pack_canvases, run_tool

if __name__ == '__main__':
    run_tool(pack_canvases)
