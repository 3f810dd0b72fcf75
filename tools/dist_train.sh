#!/usr/bin/env bash
# Train with NPROC processes per node: one per GPU, or on a machine without GPUs on its CPU.
#   tools/dist_train.sh CONFIG NPROC [options of tools/train.py]
# Several nodes: set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG NPROC [options of tools/train.py]" >&2
    exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
launch "$2" train.py "$1" --launcher pytorch "${@:3}"
