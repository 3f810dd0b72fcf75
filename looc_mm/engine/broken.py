"""Reports the pictures that a training replaces because they are broken, and stops a training with too many of them."""

from pathlib import Path

from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner

from looc_mm.datasets.broken import BROKEN, LIST, SHARE, ReplaceBroken, check_share, list_broken, replacing
from looc_mm.registry import HOOKS


@HOOKS.register_module()
class BrokenPictures(Hook):
    """Counts the pictures that ``LoadCanvas(ignore_broken=True)`` could not decode, and lists them in the work dir.

    Args:
        share: The largest share of broken pictures. The training stops when more than this share of all pictures is
            broken, and at the end of an epoch when more than this share of the pictures that were read is.
        interval: Iterations between two counts.

    Raises:
        ValueError: ``share`` is not between 0 and 1, or ``interval`` is below 1.
    """

    priority = 'NORMAL'  # before checkpoints

    def __init__(self, share: float = SHARE, interval: int = 50) -> None:
        if not 0 <= share <= 1 or interval < 1:
            raise ValueError(f'BrokenPictures got share={share} and interval={interval}; allowed: 0 to 1, 1 or more.')
        self.share = share
        self.interval = interval
        self.found: dict[str, str] = {}  # path to the reason

    def before_train_epoch(self, runner: Runner) -> None:
        """Have the replacements be those of this epoch.

        Args:
            runner: The runner of the training process.
        """
        for dataset in replacing(runner.train_loop.dataloader.dataset):
            assert dataset.marks is not None
            dataset.marks.epoch.fill_(runner.epoch)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Count the broken pictures.

        Args:
            runner: The runner of the training process.
            batch_idx: Index of the batch in the loop.
            data_batch: The batch.
            outputs: What the model logs.

        Raises:
            ValueError: Too many pictures are broken.
        """
        if self.every_n_train_iters(runner, self.interval):
            self._check(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Count the broken pictures of the pictures that were read.

        Args:
            runner: The runner of the training process.

        Raises:
            ValueError: Too many pictures are broken.
        """
        self._check(runner, of_those_read=True)

    def _check(self, runner: Runner, of_those_read: bool = False) -> None:
        total, count, places = 0, 0, dict[str, tuple[ReplaceBroken, int]]()
        for dataset in replacing(runner.train_loop.dataloader.dataset):
            assert dataset.marks is not None
            marks = dataset.marks.of_samples.clone()
            all_reduce(marks, 'max')  # each process reads its own samples
            total += int((marks > 0).sum()) if of_those_read else len(marks)
            rows = (marks == BROKEN).nonzero()[:, 0].tolist()
            count += len(rows)
            places |= {dataset.get_data_info(row)['img_path']: (dataset, row) for row in rows}
        path, new = Path(runner.work_dir, LIST), [each for each in places if each not in self.found]
        if new:
            for each in new:
                dataset, row = places[each]
                self.found[each] = dataset.problem(row) or 'it can be read now'
            if is_main_process():
                list_broken(self.found, path)
            runner.logger.warning(
                f'{len(self.found):,} pictures are broken, and others replace them; {path} lists them. '
                f'One of them: {new[0]!r} {self.found[new[0]]}'
            )
        share = f'{min(1, 2 * count / max(1, total)):.2g}'
        remedy = f'allow a larger share by default_hooks.broken.share={share}, in the config or in --cfg-options'
        check_share(count, total, self.share, path, remedy)
