"""Evaluate a pretrained model: ``looc test`` as a file, which dist_test.sh starts."""

from looc_mm.cli import run_tool, test

if __name__ == '__main__':
    run_tool(test)
