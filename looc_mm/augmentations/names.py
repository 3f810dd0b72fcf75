"""The names of augmentations and of their spaces."""

from collections.abc import Sequence

from torch.nn import ModuleDict

INVARIANT = 'invariant'


def check_names(names: list[str], owners: list[str], leave_one_out: Sequence[str] | None) -> None:
    """Check the names of a pipeline's augmentations.

    Args:
        names: Of all, in order.
        owners: Of those that own a space.
        leave_one_out: As of :class:`looc_mm.views.LeaveOneOutPipeline`.

    Raises:
        ValueError: A name cannot be used or occurs twice, or a space has no owner.
    """
    if not names:
        raise ValueError('LeaveOneOutPipeline got no augmentations; list at least a RandomResizedCrop.')
    for bad, why in (
        ({name for name in names if names.count(name) > 1}, 'more than one augmentation is'),
        ({INVARIANT, '0'} & set(names), 'this name is reserved, yet an augmentation is'),
        (
            {name for name in names if '.' in name or hasattr(ModuleDict, name)},
            'a name cannot hold a dot or be a word of torch.nn.ModuleDict, yet an augmentation is',
        ),
    ):
        if bad:
            raise ValueError(
                f'LeaveOneOutPipeline: {why} named {sorted(bad)} among {names}. A space is found by its name: '
                f'remove one, or give it another name in its config, name=...'
            )
    if leave_one_out is None:
        return
    if isinstance(leave_one_out, str):
        raise ValueError(f'leave_one_out got the string {leave_one_out!r}; write a list, [{leave_one_out!r}].')
    if len(set(leave_one_out)) < len(leave_one_out):
        raise ValueError(f'leave_one_out names a space twice: {list(leave_one_out)}.')
    orphans = [name for name in leave_one_out if name not in owners]
    if orphans:
        raise ValueError(
            f'leave_one_out asks for the spaces {orphans}, which no augmentation of the list owns. Allowed: '
            f'{owners}. The list holds {names}; add the augmentation, or set owns_space=True in its config.'
        )
