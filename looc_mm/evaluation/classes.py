"""Classes are found by their names: two splits whose classes differ number their labels differently."""

from typing import Any


def check_same_classes(train: Any, test: Any) -> None:
    """Make sure that labels of both datasets mean the same.

    Args:
        train: A dataset; ``metainfo['classes']``, if it has them, are the names in the order of the labels.
        test: The other one.

    Raises:
        ValueError: Both have names, and these differ.
    """
    ours, theirs = (getattr(each, 'metainfo', {}).get('classes') for each in (train, test))
    if ours is None or theirs is None or list(ours) == list(theirs):
        return
    only = {'train': sorted(set(ours) - set(theirs)), 'test': sorted(set(theirs) - set(ours))}
    found = '; '.join(f'only the {split} pictures have {_shortened(names)}' for split, names in only.items() if names)
    raise ValueError(
        f'The train and the test pictures differ in classes, so their labels would not mean the same: '
        f'{found or "the order differs"}. Rename the folders. If the test pictures lack a class, make an empty '
        f'folder of its name; if the train pictures lack a class, leave it out of the test.'
    )


def _shortened(names: list[str]) -> str:
    return ', '.join(map(repr, names[:10])) + (f' and {len(names) - 10} more' if len(names) > 10 else '')
