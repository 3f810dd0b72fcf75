#!/usr/bin/env bash
# The sign digits, which chose nothing: the regime of Imagenette without the flip: bash projects/results/signdigits.sh [SEED ...]
# It needs data/signdigits. The epochs have as many pictures as in run.sh; what is recorded is skipped.
set -e
export OMP_NUM_THREADS=1
run() {  # EPOCHS CONFIG ...
    epochs=$1; shift
    python tools/suite.py "$@" --seeds $seed --epochs "$epochs" --work-dir work_dirs/results --records \
        projects/results/records/signdigits --evaluate projects/results/signdigits.py --cfg-options \
        train_dataloader.dataset.data_root=data/signdigits model.data_preprocessor.pipeline.augmentations.1.prob=0
}
for seed in "${@:-0}"; do
    run 0 configs/moco/moco_r18_imagenette.py
    run 57 configs/looc/looc_rotation_r18_imagenette.py
    run 71 configs/moco/moco_r18_imagenette.py configs/moco/moco_rotation_r18_imagenette.py
    run 50 configs/looc/looc_r18_imagenette.py configs/moco/multi_head_moco_r18_imagenette.py
done
