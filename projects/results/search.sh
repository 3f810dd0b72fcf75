#!/usr/bin/env bash
# Each change of the regime alone, LooC with rotation and color and MoCo v2, at about the same CPU time: one trial each.
# It needs data/imagenette and data/flowers5. What is recorded is skipped.
set -e
export OMP_NUM_THREADS=1
python projects/results/hold_out.py data/imagenette data/search/imagenette
python projects/results/hold_out.py data/flowers5 data/search/flowers5
pipeline=model.data_preprocessor.pipeline
config=configs/looc/looc_r18_imagenette.py
run() {  # EPOCHS CHANGE ...
    epochs=$1; shift
    python tools/suite.py "$config" --epochs "$epochs" --work-dir work_dirs/search \
        --records projects/results/records/search \
        --evaluate projects/results/search_imagenette.py projects/results/search_flowers5.py \
        --cfg-options train_dataloader.dataset.data_root=data/search/imagenette "$@"
}
run 0
run 8
run 8 $pipeline.augmentations.0.scale=0.2,1
run 8 $pipeline.augmentations.2.prob=0.5
run 8 model.head.mask_false_negatives=False
run 8 model.neck.queue_len=512
run 8 model.head.temperature=0.2
run 8 optim_wrapper.optimizer.type=SGD optim_wrapper.optimizer.lr=0.06 optim_wrapper.optimizer.weight_decay=0.0005 \
    optim_wrapper.optimizer.momentum=0.9
run 8 train_dataloader.batch_size=128 model.neck.queue_len=128
run 8 model.neck.hid_channels=2048
run 8 model.backbone.zero_init_residual=False
run 3 model.backbone.stem_channels=32 model.backbone.base_channels=32 model.neck.in_channels=256
run 5 $pipeline.augmentations.0.size=64
config=configs/moco/moco_r18_imagenette.py
run 10
run 10 $pipeline.augmentations.0.scale=0.2,1
run 10 model.head.temperature=0.2
run 10 optim_wrapper.optimizer.type=SGD optim_wrapper.optimizer.lr=0.06 optim_wrapper.optimizer.weight_decay=0.0005 \
    optim_wrapper.optimizer.momentum=0.9
run 10 model.neck.queue_len=512
run 10 train_dataloader.batch_size=128 model.neck.queue_len=128
run 10 model.neck.hid_channels=2048
run 10 model.backbone.zero_init_residual=False
run 7 $pipeline.augmentations.0.size=64
run 4 model.backbone.stem_channels=32 model.backbone.base_channels=32 model.neck.in_channels=256
