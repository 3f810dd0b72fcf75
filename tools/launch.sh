# Read by dist_train.sh and dist_test.sh: starts processes of a tool on this node.
# Several nodes: set NNODES, NODE_RANK, MASTER_ADDR and PORT.
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

launch() {  # NPROC TOOL [ARGUMENT ...]
    local processes=$1 tool=$2 rendezvous
    # One node takes a free port, so that two jobs on a machine do not meet.
    if [ -z "${PORT:-}" ] && [ "${NNODES:-1}" = 1 ]; then
        rendezvous=(--standalone --local_addr=127.0.0.1)
    else
        rendezvous=(
            --nnodes="${NNODES:-1}"
            --node_rank="${NODE_RANK:-0}"
            --master_addr="${MASTER_ADDR:-127.0.0.1}"
            --master_port="${PORT:-29500}"
        )
    fi
    PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" -m torch.distributed.run \
        "${rendezvous[@]}" --nproc_per_node="$processes" "$TOOLS/$tool" "${@:3}"
}
