#!/usr/bin/env bash
# The runs of the records, at about equal CPU time: bash projects/results/run.sh [SEED ...]
# It needs data/imagenette and data/flowers5. Each run takes five minutes on one core; what is recorded is skipped.
set -e
export OMP_NUM_THREADS=1
run() {  # EPOCHS CONFIG ...
    epochs=$1; shift
    python tools/suite.py "$@" --seeds $seed --epochs "$epochs" --work-dir work_dirs/results --records \
        projects/results/records/imagenette --evaluate projects/results/imagenette.py configs/linear_eval/flowers5.py
}
for seed in "${@:-0}"; do
    run 0 configs/moco/moco_r18_imagenette.py
    run 7 configs/looc/looc_r18_imagenette.py
    run 10 configs/moco/moco_r18_imagenette.py configs/moco/moco_rotation_r18_imagenette.py
    run 7 configs/moco/multi_head_moco_r18_imagenette.py
    run 8 configs/looc/looc_color_r18_imagenette.py configs/looc/looc_rotation_r18_imagenette.py
    run 5 configs/looc/loocpp_r18_imagenette.py
done
