"""Columns of words, such as `dataset`, that tell sets of rows apart which one curve would mix.

names = set_columns(table, points, used=["N", "D", "loss"])
said_of_sets(table, names)
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence

import pandas as pd

from reports.scaling.numerals import Problem, is_missing, numbers
from reports.scaling.points import Points
from reports.scaling.read_table import Table
from reports.scaling.usual_names import bare, is_measure

ROWS_EACH = 4
"""Rows for each value, on average, from which on a column of words tells sets apart. One with more
values names runs."""
MOST_SETS = 20
NO_SETS = re.compile(r"\w*(date|time|created|updated|path|url|color|host|notes?|comments?|tags)")
"""Names, without signs, of words that say when and where a run was, and nothing of what it was."""
MOST_NAMED = 3


def set_columns(table: Table, points: Points, used: Collection[str | None]) -> list[str]:
    """Return the columns of words whose values each cover several sizes: not the name of a model,
    which has one size. Of columns that follow from one another, the one of the fewest values. None
    of a store, whose kinds of trials are told by other means.

    used: the columns that are sizes, the measure, or the cluster.
    """
    if table.is_store:
        return []
    sizes = pd.Series(next(iter(points.inputs.values())))
    found = {}
    for name, cells in table.columns.items():
        if name in used or is_measure(name) or NO_SETS.fullmatch(bare(name)):
            continue
        present = [cell for cell in cells if not is_missing(cell)]
        if not isinstance(numbers(present, counts=True), Problem):
            continue
        labels = pd.Series([str(cell) for cell in cells])
        if 2 <= labels.nunique() <= min(len(labels) / ROWS_EACH, MOST_SETS):
            if (sizes.groupby(labels).nunique() > 1).any():
                found[name] = labels

    kept: list[str] = []
    for name in sorted(found, key=lambda name: found[name].nunique()):
        of_kept = [found[name].groupby(found[other]).nunique().max() > 1 for other in kept]
        finer = [found[other].groupby(found[name]).nunique().max() > 1 for other in kept]
        if all(of_kept) and all(finer):
            kept.append(name)
    return [name for name in found if name in kept]


def said_of_sets(table: Table, names: Sequence[str]) -> str:
    """Return a sentence about columns that tell sets of rows apart; empty for none."""
    if not names:
        return ""
    parts = []
    for name in names[:MOST_NAMED]:
        values = list(dict.fromkeys(str(cell) for cell in table.columns[name]))
        shown = ", ".join(value[:30] or "none" for value in values[:MOST_NAMED])
        more = f" and {len(values) - MOST_NAMED} more" if len(values) > MOST_NAMED else ""
        parts.append(f"'{name}' has {len(values)} values ({shown}{more})")
    first = names[0]
    most = Counter(str(cell) for cell in table.columns[first]).most_common(1)[0][0]
    return (
        f"{'; '.join(parts)}: one curve mixes them; choose rows with --where, such as --where"
        f" '{first}={most[:30] or 'none'}'."
    )
