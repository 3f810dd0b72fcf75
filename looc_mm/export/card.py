"""The model card of an exported network: what it is, what it was trained on, and what was measured."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looc_mm.checkpoint import Checkpoint
from looc_mm.files import folder_name
from looc_mm.results import newest
from looc_mm.stored_config import plain_value
from looc_mm.version import __version__

CARD = """\
---
tags:
- image-feature-extraction
- timm
- looc
library_name: timm
pipeline_tag: image-feature-extraction
license: {license}
---
# {title}

`{architecture}` of timm without classifier, trained without labels by
[LooC](https://arxiv.org/abs/2008.05659) with looc_mm {version}.

## Use

```python
import timm

network = timm.create_model('local-dir:{title}', pretrained=True).eval()
features = network(images)  # (B, {width})
```

`images` is (B, 3, {side}, {side}) float32: RGB in [0, 1], minus {mean}, divided by {std}.
`timm.create_model(..., num_classes=10)` adds a classifier to fine-tune.

## Training

| | |
|---|---|
{training}

{contents}

## Results

{results}

## Licence

{terms}
"""


@dataclass(frozen=True)
class Training:
    """What a model card says about the training.

    Attributes:
        facts: By topic.
    """

    facts: Mapping[str, str]


def training_facts(checkpoint: Checkpoint, spaces: Sequence[str]) -> Training:
    """What the config in a checkpoint says, without running it.

    Args:
        checkpoint: As :func:`looc_mm.checkpoint.read_checkpoint` gives it.
        spaces: Names of the model's spaces; empty for a model without spaces.
    """
    model, dataset, asked = (_stored(checkpoint, name) for name in ('model', 'train_dataloader', 'asked'))
    dataset = dataset.get('dataset', {})
    pipeline = model.get('data_preprocessor', {}).get('pipeline', {})
    augmentations = [str(each.get('type')) for each in pipeline.get('augmentations', [])]
    root = asked.get('pictures') or dataset.get('data_root')
    pictures = f'the folder `{folder_name(Path(root))}`' if root else str(dataset.get('type', 'not known'))
    start = model.get('backbone', {}).get('pretrained')
    facts = {
        'pictures': pictures,
        'spaces': ', '.join(spaces) or 'none',
        'augmentations': ', '.join(augmentations) or 'not known',
        'method': model.get('type', 'not known') + (', LooC++' if model.get('last_stage_per_space') else ''),
        'epochs': 'not known' if checkpoint.epoch is None else str(checkpoint.epoch),
        'started with': _start(start) + (', which did not change' if model.get('freeze_backbone') else ''),
    }
    if not_learnt := [space for space, state in checkpoint.states.items() if state != 'learning']:
        facts['spaces that have not learnt'] = ', '.join(not_learnt)
    return Training(facts)


def model_card(
    title: str,
    about: Mapping[str, Any],
    training: Training,
    records: Iterable[Mapping[str, Any]],
    license: str | None,
) -> str:
    """The card as Markdown, with the front matter that the Hugging Face hub reads.

    Args:
        title: Name of the folder.
        about: What :func:`looc_mm.export.export_timm_hub` returns.
        training: What is known of it.
        records: Of ``results.json``; those of other representations than the exported one are left out.
        license: Of the weights; None if it is not known.
    """
    (space,) = about['spaces']
    contents = 'The weights give V, the feature that all spaces share. The heads of the spaces are not in the file.'
    if space != 'V':
        contents = f'The weights are those of LooC++ with the last stage of the space {space}.'
    start = training.facts['started with']
    terms = f'{license}.' if license else 'Not stated. Choose a licence before you publish the weights.'
    terms += ' The licence of the pictures may limit the use of the weights'
    terms += '.' if start == 'random weights' else f', and so may that of what the training started with: {start}.'
    return CARD.format(
        license=license or 'unknown',
        title=title,
        architecture=about['architecture'],
        version=__version__,
        width=about['width'][0],
        side=about['view_size'],
        mean=about['mean'],
        std=about['std'],
        training='\n'.join(f'| {topic} | {text} |' for topic, text in training.facts.items()),
        contents=contents,
        results=_results(records, space),
        terms=terms,
    )


def _stored(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    """An entry of the stored config; empty if there is none, or if it is more than literals."""
    try:
        value = plain_value(checkpoint.config_text or '', name)
    except (ValueError, SyntaxError):
        return {}
    return value if isinstance(value, dict) else {}


def _start(pretrained: bool | str | None) -> str:
    if pretrained is True:
        return "timm's pretrained weights"
    return f'the weights in `{Path(pretrained).name}`' if pretrained else 'random weights'


def _results(records: Iterable[Mapping[str, Any]], space: str) -> str:
    """A table of the values of one representation, or a sentence."""
    rows = []
    for each in newest([dict(record) for record in records]):
        kept = each['representation']
        if ('+'.join(kept) if isinstance(kept, list) else kept) == space:
            interval = f' ± {each["ci"]:.1f}' if each.get('ci') is not None else ''
            cells = [each['dataset'], each['protocol'], each.get('factor', 'class'), each['metric']]
            rows.append(f'| {" | ".join(cells)} | {each["value"]:.1f}{interval} |')
    if not rows:
        return 'No evaluation of these weights was found.'
    return '\n'.join(['| dataset | protocol | factor | metric | value |', '|---|---|---|---|---|', *rows])
