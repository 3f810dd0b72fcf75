#!/usr/bin/env bash
# Train with NPROC processes per node: one per GPU, or on a machine without GPUs on its CPU.
#   tools/dist_train.sh CONFIG NPROC [options of tools/train.py]
# Several nodes: set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG NPROC [options of tools/train.py]" >&2
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
    --nproc_per_node="$2" \
    "$TOOLS/train.py" "$1" --launcher pytorch "${@:3}"
