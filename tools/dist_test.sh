#!/usr/bin/env bash
# Evaluate with NPROC processes per node: one per GPU, or on a machine without GPUs on its CPU.
#   tools/dist_test.sh CONFIG CHECKPOINT NPROC [options of tools/test.py]
# Several nodes: set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT NPROC [options of tools/test.py]" >&2
    exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
launch "$3" test.py "$1" "$2" --launcher pytorch "${@:4}"
