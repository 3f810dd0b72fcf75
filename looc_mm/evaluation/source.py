"""The frozen features of one model on some data."""

import copy
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader

from looc_mm.datasets.classes import CLASS, Classes, class_names, classes_of, describe_missing, match_classes, renumber
from looc_mm.models.representation import resolve_spaces
from looc_mm.models.space_figures import not_learnt
from looc_mm.views import to_rgb

from .cache import FeatureCache, cache_key, data_hash
from .extract import extract
from .features import Features, FeatureSet


class FeatureSource:
    """Frozen features on demand, each extracted once; it owns loaders, cache, and the choice of V or spaces.

    Args:
        model: The model, not wrapped.
        loaders: Split ('train', 'test', ...) to a dataloader or its config, in the dataset's order.
        name: Of the dataset, for the record.
        spaces: Which representations, as for :func:`looc_mm.models.representation.resolve_spaces`; None for V.
        seed: Of random rotations.
        amp: Whether features are extracted under autocast.
        cache: Folder where features are kept and found again; None for none.
        states: How far the training of each space got; see :func:`looc_mm.models.space_figures.space_state`.
        allow_missing_classes: Whether a split may lack pictures of classes that the training pictures have. They are
            counted and named.

    Attributes:
        missing: By split, the classes that it lacks.
        chosen: The representations by name, as :func:`looc_mm.models.representation.resolve_spaces` gives them.
        names: The one that :meth:`features` gives, for :meth:`FeatureSet.select`: the first of them.

    Raises:
        ValueError: The model has no such space, or a split lacks classes or has classes without training pictures.
    """

    def __init__(
        self,
        model: nn.Module,
        loaders: Mapping[str, DataLoader | dict],
        *,
        name: str,
        spaces: Sequence[str] | None = None,
        seed: int = 0,
        amp: bool = False,
        cache: str | Path | None = None,
        states: Mapping[str, str] | None = None,
        allow_missing_classes: bool = False,
    ) -> None:
        self.model = model
        self.name = name
        self.chosen = resolve_spaces(model, spaces)
        self.names = next(iter(self.chosen.values()))
        self.seed = seed
        self.amp = amp
        self.states = dict(states or {})
        self.cache = None if cache is None else FeatureCache(cache)
        self.configs: dict[str, Any] = {
            split: copy.deepcopy(each) for split, each in loaders.items() if isinstance(each, dict)
        }
        self.loaders: dict[str, DataLoader] = {split: self._build(each) for split, each in loaders.items()}
        self.allow_missing_classes = allow_missing_classes
        self.missing: dict[str, list[str]] = {}
        self.classes: Classes | None = classes_of(self.loaders['train'].dataset) if 'train' in self.loaders else None
        for split, loader in self.loaders.items():
            self._check(split, loader)
        self.sets: dict[str, FeatureSet] = {}

    @property
    def representation(self) -> Any:
        """The chosen representation, for the record: 'V' or a list of spaces."""
        return 'V' if self.names == ['V'] else self.names

    @property
    def not_learnt(self) -> list[str]:
        """The model's spaces that were not learning when their training ended."""
        return not_learnt(self.states)

    def each(self) -> Iterator['FeatureSource']:
        """A source for each of the chosen representations; they share loaders and features."""
        for names in self.chosen.values():
            one = copy.copy(self)
            one.names = names
            yield one

    def features(self, split: str, rotate: str | None = None, dataset: dict | None = None) -> Features:
        """The chosen representation of a split; see :meth:`feature_set`."""
        return self.feature_set(split, rotate, dataset).select(self.names)

    def feature_set(self, split: str, rotate: str | None = None, dataset: dict | None = None) -> FeatureSet:
        """Every representation of a split, on the model's device.

        Args:
            split: One of the loaders'.
            rotate: See :func:`looc_mm.evaluation.extract.extract`.
            dataset: Changes of the split's dataset config; with a ``type`` it replaces all of it but the pipeline.
        """
        name = repr((split, rotate, dataset))
        if name not in self.sets:
            loader = self._loader(split, dataset)
            found = self._extract(loader, rotate)
            self.sets[name] = FeatureSet(found.parts, self._renumbered(loader.dataset, found.labels))
        return self.sets[name]

    def several(self, split: str, datasets: Sequence[dict]) -> list[Features]:
        """The chosen representation of several datasets, in one pass over all of them.

        Args:
            split: One of the loaders', whose dataset they replace.
            datasets: Each as ``dataset`` of :meth:`feature_set`.
        """
        parts = [self._loader(split, dataset).dataset for dataset in datasets]
        together: ConcatDataset = ConcatDataset(parts)
        found = self._extract(self._build({**self.configs[split], 'dataset': together}), None).select(self.names)
        ends = together.cumulative_sizes
        rows = [slice(end - len(part), end) for end, part in zip(ends, parts, strict=True)]  # type: ignore[arg-type]
        labels = [{key: label[each] for key, label in found.labels.items()} for each in rows]
        return [
            Features(found.x[each], self._renumbered(part, own))
            for each, part, own in zip(rows, parts, labels, strict=True)
        ]

    def augmented(
        self, split: str, augment: Callable[[Tensor, Tensor], Tensor], dataset: dict | None = None
    ) -> Features:
        """The chosen representation of a split's images as ``augment`` changes them, extracted at each call.

        Args:
            split: One of the loaders'.
            augment: See :func:`looc_mm.evaluation.extract.extract`.
            dataset: As for :meth:`feature_set`.
        """
        loader = self._loader(split, dataset)
        found = extract(self.model, loader, amp=self.amp, augment=augment).to(self._device)
        return FeatureSet(found.parts, self._renumbered(loader.dataset, found.labels)).select(self.names)

    def dataset(self, split: str) -> Any:
        """The dataset of a split; its samples hold ``inputs`` (3, H, W) uint8 RGB and ``labels``."""
        return self._loader(split, None).dataset

    def image(self, split: str, index: int) -> np.ndarray:
        """One image of a split, (H, W, 3) uint8 RGB, upright; of other pictures three channels, see :func:`to_rgb`."""
        return (255 * to_rgb(self.dataset(split)[index]['inputs'])).round().byte().permute(1, 2, 0).numpy()

    def forget(self) -> None:
        """Drop what was extracted: the model's weights have changed."""
        self.sets.clear()

    @property
    def _device(self) -> Any:
        return next(self.model.parameters()).device

    def _build(self, loader: DataLoader | dict) -> DataLoader:
        return Runner.build_dataloader(loader, seed=self.seed)

    def _loader(self, split: str, dataset: dict | None) -> DataLoader:
        if split not in self.loaders:
            raise ValueError(f'There is no split {split!r}; there are {list(self.loaders)}.')
        if dataset is None:
            return self.loaders[split]
        name = repr((split, dataset))
        if name not in self.loaders:
            cfg = copy.deepcopy(self.configs.get(split))
            if cfg is None:
                raise ValueError(f'The dataset of {split!r} cannot be changed: its loader was given, not its config.')
            kept = {'pipeline': cfg['dataset'].get('pipeline', [])} if 'type' in dataset else cfg['dataset']
            cfg['dataset'] = {**kept, **dataset}
            self.loaders[name] = self._build(cfg)
            self._check(split, self.loaders[name])
        return self.loaders[name]

    def _check(self, split: str, loader: DataLoader) -> None:
        """Compare the classes of a split with the training classes by name."""
        if 'train' not in self.loaders:
            return
        own = loader is self.loaders['train']
        classes = self.classes if own else classes_of(loader.dataset)
        missing = match_classes(self.classes, classes, split, self.allow_missing_classes)
        if missing and self.classes is not None and self.missing.get(split) != missing:
            wanted = self.classes.names if own else self.classes.present
            print_log(describe_missing(split, missing, len(wanted)), logger='current', level=logging.WARNING)
        self.missing.setdefault(split, missing)

    def _renumbered(self, dataset: Any, labels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Labels under the numbers of the training classes."""
        if 'train' not in self.loaders:
            return dict(labels)
        train = self.loaders['train'].dataset
        return {
            label: renumber(values, class_names(dataset, label), class_names(train, label))
            for label, values in labels.items()
        }

    def data_hash(self) -> str:
        """Hash of the training and test pictures."""
        parts = {split: data_hash(self.dataset(split)) for split in ('train', 'test') if split in self.loaders}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def class_hash(self, label: str = CLASS) -> str | None:
        """Hash of the training classes of a label and of those that the test lacks; None if they have no names."""
        names = class_names(self.loaders['train'].dataset, label) if 'train' in self.loaders else None
        if names is None:
            return None
        missing = self.missing.get('test', []) if label == CLASS else []
        return hashlib.sha256(json.dumps([*names, *([missing] if missing else [])]).encode()).hexdigest()[:16]

    def _extract(self, loader: DataLoader, rotate: str | None) -> FeatureSet:
        def make() -> FeatureSet:
            return extract(self.model, loader, rotate, self.seed, self.amp)

        key = None
        if self.cache is not None:
            key = cache_key(self.model, loader.dataset, rotate=rotate, seed=rotate and self.seed, amp=self.amp)
        found = make() if self.cache is None or key is None else self.cache.get(key, make)
        return found.to(self._device)
