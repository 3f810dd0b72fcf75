"""Train a model: ``looc train`` as a file, which dist_train.sh and slurm_train.sh start."""

from looc_mm.cli import run_tool, train

if __name__ == '__main__':
    run_tool(train)
