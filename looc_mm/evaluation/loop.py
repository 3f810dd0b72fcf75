"""Evaluation as MMEngine's test loop: extract once, then every protocol fits and scores."""

import copy
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader

from looc_mm.models.representation import check_spaces
from looc_mm.registry import LOOPS, PROTOCOLS

from .cache import FeatureCache, cache_key
from .features import FeatureBank, Features, extract_bank
from .results import write_results


@LOOPS.register_module()
class FrozenFeatureLoop(BaseLoop):
    """Run protocols on frozen features and write ``results.json`` into the work directory.

    A protocol has a ``name``, says with ``rotate_train`` and ``rotate_test`` which features it wants, and its
    ``evaluate(train, test)`` gives one dict per metric. Every process computes every protocol: nobody waits for rank 0.

    Args:
        runner: The runner.
        dataloader: Of the test split.
        train_dataloader: Of the training split.
        protocols: Configs of protocols.
        dataset: Name for the record.
        representation: None for V; else the spaces whose embeddings are concatenated, ``['all']`` for all of them.
        seed: Of the protocols' random choices.
        amp: Whether features are extracted under autocast.
        cache: Folder where features are kept and found again, None for none.
        checkpoint: Path for the record, of weights that were loaded already; None for random weights.
        experiment: Name of the pretraining config for the record.
        evaluator: Not used; the runner passes it.

    Raises:
        ValueError: The model has no such space.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        train_dataloader: DataLoader | dict,
        protocols: list[dict],
        dataset: str,
        representation: Sequence[str] | None = None,
        seed: int = 0,
        amp: bool = False,
        cache: str | None = None,
        checkpoint: str | None = None,
        experiment: str | None = None,
        evaluator: Any = None,
    ) -> None:
        self.configs: dict[str, Any] = copy.deepcopy({'train': train_dataloader, 'test': dataloader})
        super().__init__(runner, dataloader)
        self.train_dataloader: DataLoader = runner.build_dataloader(train_dataloader, seed=runner.seed)
        self.protocols = [PROTOCOLS.build(protocol, default_args=dict(seed=seed)) for protocol in protocols]
        self.dataset = dataset
        self.seed = seed
        self.amp = amp
        self.cache = None if cache is None else FeatureCache(cache)
        self.banks: dict[str, FeatureBank] = {}
        self.loaders: dict[str, DataLoader] = {}
        self.folder = runner.work_dir  # of records and pictures
        self.checkpoint = checkpoint or runner._load_from
        self.experiment = experiment

        self.model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self.device = next(self.model.parameters()).device
        self.spaces = None if representation is None else list(representation)
        if self.spaces is not None:
            known = getattr(self.model, 'spaces', ())
            self.spaces = list(known) if known and self.spaces == ['all'] else self.spaces
            check_spaces(self.spaces, known)

    def run(self) -> dict[str, float]:
        """Run all protocols.

        Returns:
            Values by name, such as ``{'linear/imagenette/top1': 83.1}``.
        """
        self._check_size()
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        records: list[dict[str, Any]] = []
        metrics: dict[str, float] = {}

        for protocol in self.protocols:
            start = time.perf_counter()
            for score in protocol.run(self):
                record = {
                    'protocol': protocol.name,
                    'dataset': self.dataset,
                    'representation': self.spaces or 'V',
                    **score,
                    'checkpoint': self.checkpoint,
                    'experiment': self.experiment,
                    'seed': self.seed,
                    'seconds': round(time.perf_counter() - start, 2),
                }
                records.append(record)
                # 'rotation/factors/top1' rather than 'rotation/factors/rotation/top1'
                factor = [score['factor']] if score.get('factor', protocol.name) != protocol.name else []
                chosen = ['+'.join(score['representation'])] if 'representation' in score else []
                metrics['/'.join([protocol.name, self.dataset, *factor, *chosen, score['metric']])] = score['value']
            if is_main_process():  # after each one, so that a later protocol's error costs nothing
                write_results(Path(self.folder) / 'results.json', records)
        if is_main_process():
            print(self._table(metrics))
        return metrics

    def features(self, split: str, rotate: str | None = None, dataset: dict | None = None) -> Features:
        """The representation that was asked for; see :class:`looc_mm.evaluation.protocol.Data`."""
        return self.bank(split, rotate, dataset).choose(self.spaces)

    def bank(self, split: str, rotate: str | None = None, dataset: dict | None = None) -> FeatureBank:
        """Every representation, extracted or found; see :class:`looc_mm.evaluation.protocol.Data`."""
        name = repr((split, rotate, dataset))
        if name not in self.banks:
            loader = self._loader(split, dataset)
            self.banks[name] = self._extract(loader, rotate)
        return self.banks[name]

    def several(self, split: str, datasets: Sequence[dict]) -> list[Features]:
        """Of each dataset, in one pass over all; see :class:`looc_mm.evaluation.protocol.Data`."""
        loaders = [self._loader(split, dataset) for dataset in datasets]
        together: ConcatDataset = ConcatDataset([loader.dataset for loader in loaders])
        loader = self.runner.build_dataloader({**self.configs[split], 'dataset': together}, seed=self.runner.seed)
        found = self._extract(loader, None).choose(self.spaces)
        ends = together.cumulative_sizes
        rows = [slice(end - len(part), end) for end, part in zip(ends, together.datasets, strict=True)]  # type: ignore
        return [Features(found.x[each], {key: label[each] for key, label in found.labels.items()}) for each in rows]

    def fresh(self, split: str, augment: Callable[[Tensor, Tensor], Tensor], dataset: dict | None = None) -> Features:
        """Extracted anew at each call; see :class:`looc_mm.evaluation.protocol.Data`."""
        bank = extract_bank(self.model, self._loader(split, dataset), amp=self.amp, augment=augment)
        return bank.to(self.device).choose(self.spaces)

    def size(self, split: str) -> int:
        """Number of images of a split."""
        return len(self._loader(split, None).dataset)  # type: ignore[arg-type]

    def sample(self, split: str, index: int) -> dict[str, Any]:
        """One sample of a split, as the dataset gives it."""
        return self._loader(split, None).dataset[index]

    def picture(self, split: str, index: int) -> np.ndarray:
        """One image of a split, (H, W, 3) uint8 RGB."""
        return self.sample(split, index)['inputs'][:3].permute(1, 2, 0).numpy()

    def _loader(self, split: str, dataset: dict | None) -> DataLoader:
        if split not in ('train', 'test'):
            raise ValueError(f"split is 'train' or 'test', got {split!r}.")
        if dataset is None:
            return self.train_dataloader if split == 'train' else self.dataloader
        name = repr((split, dataset))
        if name not in self.loaders:
            cfg: Any = copy.deepcopy(self.configs[split])
            if 'type' in dataset:
                cfg['dataset'] = {'pipeline': cfg['dataset'].get('pipeline', []), **dataset}
            else:
                cfg['dataset'].update(dataset)
            self.loaders[name] = self.runner.build_dataloader(cfg, seed=self.runner.seed)
        return self.loaders[name]

    def _extract(self, loader: DataLoader, rotate: str | None) -> FeatureBank:
        key = None
        if self.cache:
            key = cache_key(self.model, loader.dataset, rotate=rotate, seed=rotate and self.seed, amp=self.amp)
        bank = self.cache.read(key) if self.cache and key else None
        found = [bank is not None]  # on rank 0: all take what is there, or all extract
        broadcast_object_list(found)
        if not found[0]:
            bank = extract_bank(self.model, loader, rotate, self.seed, self.amp)
            if self.cache and key and is_main_process():
                self.cache.write(key, bank)
        elif bank is None:  # another machine, which does not see the folder
            bank = extract_bank(self.model, loader, rotate, self.seed, self.amp)
        return bank.to(self.device)

    def _check_size(self) -> None:
        """Warn where the images are not of the size that the model was trained on."""
        pipeline = getattr(self.model.data_preprocessor, 'pipeline', None)
        size = tuple(self.dataloader.dataset[0]['inputs'].shape[-2:])
        trained = pipeline.view_size(size) if pipeline else size
        if trained != size:
            warnings.warn(
                f'The model was trained on views of {trained[0]} x {trained[1]} pixels and is evaluated on '
                f'{size[0]} x {size[1]}: set the sizes in the dataset pipelines of the evaluation config.',
                stacklevel=2,
            )

    def _table(self, metrics: dict[str, float]) -> str:
        width = max(map(len, metrics), default=0)
        head = f'{" + ".join(self.spaces or ["V"])} of {self.checkpoint or "random weights"}'
        return '\n'.join([head, *(f'  {name:<{width}}  {value:6.2f}' for name, value in metrics.items())])
