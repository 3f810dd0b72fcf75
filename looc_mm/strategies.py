"""View strategies: which parameters the keys have from the query, written into the view table.

A strategy takes the table in which every view was drawn independently, ``table[view][augmentation]``, and the
augmentations that have a space. It changes the table and is known nowhere else.
"""

from collections.abc import Callable, Sequence

from looc_mm.augmentations import AtomicAugmentation, Params

#: For every view and every augmentation in it, the parameters of the whole batch.
ViewTable = dict[str, dict[str, Params]]


def leave_one_out(table: ViewTable, left_out: Sequence[AtomicAugmentation]) -> None:
    """LooC (section 3): x_i of k_i is x_i of q, and everything else stays independent."""
    for augmentation in left_out:
        table[f'k_{augmentation.name}'][augmentation.name] = table['q'][augmentation.name]


def add_one(table: ViewTable, left_out: Sequence[AtomicAugmentation]) -> None:
    """Appendix E: q and k_0 have none of these augmentations, k_i has the i-th alone."""
    for augmentation in left_out:
        name = augmentation.name
        none = augmentation.identity(len(next(iter(table['q'][name].values()))))
        for view in table.keys() - {f'k_{name}'}:
            table[view][name] = none


def independent(table: ViewTable, left_out: Sequence[AtomicAugmentation]) -> None:
    """No key shares anything: the control that has LooC's heads and key views but all-invariant spaces."""


def copy_from_query(table: ViewTable, names: Sequence[str]) -> None:
    """Copy the named augmentations' parameters from the query to every key ("same for q and k")."""
    for view in table:
        for name in names:
            table[view][name] = table['q'][name]


STRATEGIES: dict[str, Callable[[ViewTable, Sequence[AtomicAugmentation]], None]] = {
    'leave_one_out': leave_one_out,
    'add_one': add_one,
    'independent': independent,
}
