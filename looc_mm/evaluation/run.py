"""From protocols to ``results.json``: a list of records, one for each value; see :mod:`looc_mm.results`.

protocol        'linear', 'rotation', ...
dataset         name of the dataset
representation  'V', or the list of spaces whose embeddings are concatenated
metric, value   'top1', 'top5', ... in percent; 'r2' as a fraction, 'mae' in the unit of the label
ci              half width of the 95 % confidence interval, or null
solver          how a linear layer was fitted: 'lbfgs', 'sgd', 'sgd on random crops'; absent for other protocols
factor          which factor of the image is predicted; absent where that is its class
checkpoint      path as given, or null for random weights
experiment      name of the pretraining config, or null where the checkpoint does not say it
not_learnt      spaces of the model that had learnt nothing when the training ended; absent where there is none
seed            of the protocol's random choices
weights         hash of the weights that the features come from
data            hash of the listed training and test pictures: names and labels
classes         hash of the training classes and of those that the test lacks; absent where they have no names
missing_classes number of classes that the test lacks; absent where it lacks none
seconds         wall time of the protocol, with the features that it was the first to need
"""

import math
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process

from looc_mm.datasets.classes import CLASS
from looc_mm.registry import PROTOCOLS
from looc_mm.results import add_results, read_results

from .cache import weights_hash
from .protocols.base import Drawing, Protocol, Score
from .source import FeatureSource
from .unwritable import warn_unwritable


def run_protocols(
    source: FeatureSource,
    protocols: Iterable[Protocol],
    folder: str | Path,
    checkpoint: str | None = None,
    experiment: str | None = None,
    skip: bool = False,
) -> dict[str, float]:
    """Run protocols and write their records and figures; every process computes, the main one writes.

    Args:
        source: Frozen features, with the splits 'train' and 'test'.
        protocols: What to run.
        folder: Where ``results.json`` and figures go.
        checkpoint: Whose weights the model has, for the record.
        experiment: Name of the pretraining config, for the record.
        skip: Whether a protocol that does not suit the model or its data is left out with a line, and no error.

    Returns:
        Values by name, such as ``{'linear/imagenette/top1': 83.1}``.

    Raises:
        ValueError: A protocol does not suit, two scores have one name, a value is not a number, or ``results.json``
            cannot be read; as the protocols.
    """
    file = Path(folder) / 'results.json'
    read_results(file)  # an error of it costs no evaluation
    check_size(source)
    weights, data = weights_hash(source.model), source.data_hash()
    metrics: dict[str, float] = {}
    for protocol in protocols:
        start = time.perf_counter()
        if problem := protocol.unsuitable(source):
            if not skip:
                raise ValueError(f'The protocol {protocol.name} cannot run: {problem}.')
            if is_main_process():
                print(f'{protocol.name} is left out: {problem}.')
            continue
        sources = list(source.each()) if protocol.per_representation else [source]
        results = [_named(result, each) for each in sources for result in protocol.run(each)]
        seconds = round(time.perf_counter() - start, 2)
        records: list[dict[str, Any]] = []
        for score in (each for each in results if isinstance(each, Score)):
            name = score_name(protocol.name, source.name, score)
            if not math.isfinite(score.value) or not math.isfinite(score.ci or 0):
                raise ValueError(f'{name} is {score.value} ± {score.ci}: the protocol found nothing to take a mean of.')
            if name in metrics:
                raise ValueError(
                    f'Two scores are named {name}. Run protocols that differ in their other options one by one, each '
                    f'with a work dir of its own.'
                )
            metrics[name] = score.value
            records.append(
                {
                    'protocol': protocol.name,
                    'dataset': source.name,
                    'representation': score.representation or source.representation,
                    'metric': score.metric,
                    'value': score.value,
                    'ci': score.ci,
                    **({'solver': score.solver} if score.solver else {}),
                    **({'factor': score.factor} if score.factor else {}),
                    'checkpoint': checkpoint,
                    'experiment': experiment,
                    **({'not_learnt': source.not_learnt} if source.not_learnt else {}),
                    'seed': source.seed,
                    'weights': weights,
                    'data': data,
                    **({'classes': classes} if (classes := source.class_hash(score.factor or CLASS)) else {}),
                    **({'missing_classes': len(missing)} if (missing := source.missing.get('test')) else {}),
                    'seconds': seconds,
                }
            )
        if is_main_process():  # after each protocol, so that the error of a later one costs nothing
            with warn_unwritable(f'{file} or a figure beside it'):
                add_results(file, records)
                for drawing in (each for each in results if isinstance(each, Drawing)):
                    drawing.figure.savefig(Path(folder) / drawing.file)
    return metrics


def _named(result: Score | Drawing, source: FeatureSource) -> Score | Drawing:
    """A result, which names its representation if several were asked for."""
    if isinstance(result, Score) and result.representation is None and len(source.chosen) > 1:
        return replace(result, representation=source.representation)
    return result


def choose_protocols(asked: Sequence[str], configured: Sequence[dict]) -> list[dict]:
    """Configs of the protocols that a user named.

    Args:
        asked: Names of protocols or of their classes; ['all'] for every protocol that reads extracted features only.
        configured: The protocols of the evaluation config, whose options are kept.

    Raises:
        ValueError: A name is unknown, or needs options.
    """
    PROTOCOLS.import_from_location()
    kinds: dict[str, type[Protocol]] = PROTOCOLS.module_dict
    ours = {config['type'] for config in configured}
    known = sorted({kind.name for each, kind in kinds.items() if kind.in_all or each in ours})
    if list(asked) == ['all']:
        asked = [name for name, kind in kinds.items() if kind.in_all]
    chosen: list[dict] = []
    for name in asked:
        named = [each for each, kind in kinds.items() if name in (each, kind.name)]
        types = [each for each in named if each in ours] or [
            each for each in named if kinds[each].in_all or each == name
        ]
        if not types:
            raise ValueError(f'Got the protocol {name!r}; known are {known}. Others need a config that sets them up.')
        for kind in types:
            chosen += [config for config in configured if config['type'] == kind] or [{'type': kind}]
    return chosen


def score_name(protocol: str, dataset: str, score: Score) -> str:
    """Protocol, dataset, and what distinguishes the score from others of the protocol."""
    factor = [score.factor] if score.factor and score.factor != protocol else []  # not 'rotation/factors/rotation'
    solver = [score.solver] if score.solver and score.solver != 'lbfgs' else []
    chosen = []
    if score.representation:
        chosen = ['V' if score.representation == 'V' else '+'.join(score.representation)]
    return '/'.join([protocol, dataset, *factor, *solver, *chosen, score.metric])


def table(source: FeatureSource, metrics: Mapping[str, float], checkpoint: str | None) -> str:
    """The values as text."""
    width = max(map(len, metrics), default=0)
    head = f'{", ".join(source.chosen)} of {checkpoint or "random weights"}'
    return '\n'.join([head, *(f'  {name:<{width}}  {value:6.2f}' for name, value in metrics.items())])


def check_size(source: FeatureSource) -> None:
    """Warn where the test images are smaller than the views of the training, or more than twice as large."""
    pipeline = getattr(source.model.data_preprocessor, 'pipeline', None)
    size = tuple(source.dataset('test')[0]['inputs'].shape[-2:])
    trained = pipeline.view_size(size) if pipeline else size
    if not all(side <= given <= 2 * side for side, given in zip(trained, size, strict=True)):
        warnings.warn(
            f'The model was trained on views of {trained[0]} x {trained[1]} pixels and is evaluated on '
            f'{size[0]} x {size[1]}: the features depend on it. "looc test RUN LABELLED" compares 1, 1.5 and 2 times '
            f'the size of the views; set the best size in the dataset pipelines of the evaluation config.',
            stacklevel=2,
        )
