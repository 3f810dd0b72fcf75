"""Pretrain on a folder of pictures: ``looc pretrain`` as a file."""

from looc_mm.cli import pretrain, run_tool

if __name__ == '__main__':
    run_tool(pretrain)
