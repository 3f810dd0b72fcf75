"""The command ``looc extract`` as a file."""

from looc_mm.cli import extract, run_tool

if __name__ == '__main__':
    run_tool(extract)
