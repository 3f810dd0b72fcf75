#!/usr/bin/env bash
# Evaluate with NPROC processes per node: one per GPU, or on a machine without GPUs on its CPU.
#   tools/dist_test.sh CONFIG CHECKPOINT NPROC [options of tools/test.py]
# Several nodes: set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT NPROC [options of tools/test.py]" >&2
    exit 2
fi
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# One node takes a free port, so that two jobs on a machine do not meet.
if [ -z "${PORT:-}" ] && [ "${NNODES:-1}" = 1 ]; then
    RENDEZVOUS=(--standalone --local_addr=127.0.0.1)
else
    RENDEZVOUS=(
        --nnodes="${NNODES:-1}"
        --node_rank="${NODE_RANK:-0}"
        --master_addr="${MASTER_ADDR:-127.0.0.1}"
        --master_port="${PORT:-29500}"
    )
fi

PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" -m torch.distributed.run \
    "${RENDEZVOUS[@]}" \
    --nproc_per_node="$3" \
    "$TOOLS/test.py" "$1" "$2" --launcher pytorch "${@:4}"
