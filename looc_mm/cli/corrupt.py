"""Write the 15 corruptions of ImageNet-C at five severities of every picture of a folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from .arguments import UsageError


def corrupt(
    source: Path,
    out: Path,
    *,
    corruptions: Annotated[Sequence[str], {'metavar': 'NAME'}] = ('all',),
    severities: Sequence[Literal[1, 2, 3, 4, 5]] = (1, 2, 3, 4, 5),
    size: int | None = None,
    keep_size: bool = False,
    quality: int = 85,
    frost: Annotated[str | None, {'metavar': 'DIR'}] = None,
    seed: int = 0,
    workers: int = os.cpu_count() or 1,
) -> int:
    """Write corrupted pictures, OUT/<corruption>/<severity>/<path of the picture>, as ImageNet-C is laid out.

    For example::

        looc corrupt data/labelled/val data/labelled-c

    Started again, it makes what is missing.

    Args:
        source: folder of pictures, of any depth
        out: folder to write
        corruptions: names such as fog, groups (noise, blur, weather, digital), or all
        severities: some of the five
        size: side in pixels; the short side is resized to 256/224 of it and the middle square taken, as for ImageNet-C;
            default: 224
        keep_size: corrupt pictures as they are
        quality: of the JPEG files written
        frost: folder of the published frost1.png ... frost5.jpg; default: procedural frost, which is not theirs
        seed: of all random choices
        workers: processes

    Returns:
        The exit status, 1 if a picture is broken.

    Raises:
        ValueError: An argument is out of its range, or the folder was made with other settings.
    """
    from looc_mm.corruptions import CORRUPTIONS, GROUPS, Settings, corrupt_tree

    if keep_size and size is not None:
        raise UsageError('give --size or --keep-size, not both')
    members = {**GROUPS, 'all': [*CORRUPTIONS], **{name: [name] for name in CORRUPTIONS}}
    for name in corruptions:
        if name not in members:
            raise UsageError(f'invalid choice: {name!r} of --corruptions; allowed are {", ".join(members)}')
    names = {name for each in corruptions for name in members[each]}
    settings = Settings(None if keep_size else 224 if size is None else size, seed, quality, frost)
    chosen = [each for name, each in CORRUPTIONS.items() if name in names]
    if 'frost' in names and frost is None:
        print('frost is procedural here, and not comparable with the published; --frost takes the published pictures.')
    report = corrupt_tree(Path(source), Path(out), chosen, sorted(set(severities)), settings, workers)
    return report.show(
        f'{report.made} pictures made, {report.finished} were finished before, {len(report.broken)} sources are '
        f'broken: {out}'
    )
