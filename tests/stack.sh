#!/usr/bin/env bash
# Run the fast tests on several versions of MMEngine, MMCV and MMPreTrain: make test-stack.
#
#     tests/stack.sh [STACK ...]            default: all of those below
#     TESTS='tests/models tests/engine' tests/stack.sh onedl
#
# Each stack gets a virtual environment of its own in work_dirs/stack. It has the packages of PYTHON (.venv/bin/python),
# PyTorch among them, and in front of them the versions of the stack. The last lines are rows for docs/stack.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=$(realpath -s "${PYTHON:-.venv/bin/python}")
TESTS=${TESTS:-tests}
OUT=${OUT:-work_dirs/stack}

declare -A STACKS=(
    [released]='mmengine==0.10.7 mmcv-lite==2.2.0 mmpretrain==1.2.0'
    [candidate]='mmengine==0.11.0rc3 mmcv-lite==2.2.0 mmpretrain==1.2.0'
    [onedl]='onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmpretrain==1.3.6'
)

rows=()
status=0
for stack in "${@:-released candidate onedl}"; do for name in $stack; do
    [[ -v STACKS[$name] ]] || { echo "No stack $name. There are: ${!STACKS[*]}." >&2; exit 2; }
    folder=$OUT/$name
    # OneDL's MMCV is built without its compiled operators: pip builds it apart from PyTorch.
    if [[ $(cat "$folder/packages" 2>/dev/null) != "${STACKS[$name]}" ]]; then
        "$PYTHON" -m venv --clear --without-pip "$folder"
        site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
        "$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$site/below.pth"
        # shellcheck disable=SC2086
        "$PYTHON" -m pip install --quiet --no-deps --target "$site" ${STACKS[$name]}
        echo "${STACKS[$name]}" > "$folder/packages"
    fi
    log=$folder/pytest.log
    # shellcheck disable=SC2086
    PYTHONPATH=$PWD OMP_NUM_THREADS=1 "$folder/bin/python" -m pytest -q -p no:cacheprovider -m 'not slow' $TESTS \
        ${PYTEST_OPTIONS:-} 2>&1 | tee "$log" || status=1
    rows+=("| ${STACKS[$name]//==/ } | $(tail -n 1 "$log" | sed 's/=//g; s/^ *//; s/ *$//') | $(date +%F) |")
done; done
printf '%s\n' "${rows[@]}"
exit $status
