"""Whether the bytes of a checkpoint are the written ones."""

import struct
import zipfile
import zlib
from pathlib import Path

from looc_mm.files import numbered_checkpoints

#: What zipfile raises for a damaged directory or header.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, ValueError, OSError)


def check_whole(path: str | Path) -> None:
    """Compare the entries of a checkpoint with the CRC-32 checksums that its zip holds.

    ``torch.load`` does not: it returns other weights for a file with a flipped bit. A CRC-32 finds every flipped bit of
    an entry. Files that are no zip (``torch.save`` before PyTorch 1.6) have no checksums and pass.

    Args:
        path: A local file.

    Raises:
        OSError: The file cannot be opened.
        ValueError: An entry differs from its checksum, or the zip's directory is damaged.
    """
    path = Path(path).expanduser()
    damage = _damage(path)
    if damage is None:
        return
    others = [each for each in numbered_checkpoints(path.parent) if each.resolve() != path.resolve()]
    whole = next((each for each in others if zipfile.is_zipfile(each) and _damage(each) is None), None)
    found = f'; {whole} is the newest whole one beside it' if whole else ', if there is one'
    raise ValueError(
        f'{path} is damaged: {damage}. Its weights are not those of the training. Replace the file by a copy from '
        f'elsewhere, or use another checkpoint of the run{found}.'
    )


def _damage(path: Path) -> str | None:
    """What is wrong with a zip; None if nothing is, or if the file is no zip."""
    with path.open('rb') as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            return 'its end is missing or damaged' if file.read(4) == b'PK\x03\x04' else None
        try:
            with zipfile.ZipFile(file) as archive:
                name = archive.testzip()
        except _DAMAGE as error:
            return f'its directory of entries cannot be read ({type(error).__name__}: {error})'
    return None if name is None else f'its entry {name!r} differs from the checksum in the file'
