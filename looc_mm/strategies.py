"""View strategies: which parameters the keys have from the query, written into the view table.

A strategy takes the table in which every view was drawn independently, ``table[view][augmentation]``, and the names
of the spaces without the invariant one. It changes the table and is known nowhere else.
"""

from collections.abc import Callable, Sequence

from looc_mm.augmentations import Params

#: For every view and every augmentation in it, the parameters of the whole batch.
ViewTable = dict[str, dict[str, Params]]


def leave_one_out(table: ViewTable, names: Sequence[str]) -> None:
    """LooC (section 3): x_i of k_i is x_i of q, and everything else stays independent."""
    for name in names:
        table[f'k_{name}'][name] = table['q'][name]


def independent(table: ViewTable, names: Sequence[str]) -> None:
    """No key shares anything: the control that has LooC's heads and key views but all-invariant spaces."""


def shared(table: ViewTable, names: Sequence[str]) -> None:
    """Copy the named augmentations' parameters from the query to every key ("same for q and k")."""
    for view in table:
        for name in names:
            table[view][name] = table['q'][name]


STRATEGIES: dict[str, Callable[[ViewTable, Sequence[str]], None]] = {
    'leave_one_out': leave_one_out,
    'independent': independent,
}
