"""The record of an evaluation: ``results.json``, a list with one dict per number.

protocol        'linear', 'rotation', ...
dataset         name of the dataset
factor          which factor of the image is predicted; absent where that is its class
solver          how a linear layer was fitted, of 'linear' and 'rotation': 'lbfgs', 'sgd', 'sgd on random crops'
representation  'V', or the list of spaces whose embeddings are concatenated
metric, value   'top1', 'top5', ... in percent
ci              half width of the 95 % confidence interval, or null
checkpoint      path as given, or null for random weights
experiment      name of the pretraining config, or null where the checkpoint does not say it
seed            of the protocol's random choices
seconds         wall time of the protocol, with the features that it was the first to need
"""

import json
from pathlib import Path
from typing import Any

from looc_mm.files import whole


def write_results(path: str | Path, records: list[dict[str, Any]]) -> None:
    """Replace a results file as a whole, so that a reader never sees half of one.

    Args:
        path: File to write.
        records: What to write.
    """
    with whole(path) as part:
        part.write_text(json.dumps(records, indent=2) + '\n')
