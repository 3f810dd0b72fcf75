# Read by dist_train.sh and dist_test.sh: starts processes of a tool on this node, see looc_mm/launcher.py.
# Several nodes: set NNODES, NODE_RANK, MASTER_ADDR and PORT.
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

launch() {  # NPROC TOOL [ARGUMENT ...]
    PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" -m looc_mm.launcher \
        "$1" "$TOOLS/$2" "${@:3}"
}
