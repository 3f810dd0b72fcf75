"""The command ``looc check-dataset`` as a file."""

from looc_mm.cli import check_dataset, run_tool

if __name__ == '__main__':
    run_tool(check_dataset)
