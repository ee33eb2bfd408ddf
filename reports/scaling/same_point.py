"""Rows at one point, which is to say of equal sizes: what they differ in, and the lowest of them.

    kept = lowest(points)
    spread(table, points, used=["N", "D", "loss"], is_loss=True)

Runs of other learning rates or batches lie at one point and differ in loss. A curve through all of
them is that of no run; scaling laws of tuned runs are fitted to the lowest loss of each point.
"""

import json
from collections.abc import Collection

import numpy as np
import pandas as pd

from harness.errors import UserError
from reports.scaling.points import Points
from reports.scaling.read_table import Table
from reports.scaling.usual_names import (
    is_better_high,
    is_like_a_size,
    is_measure,
    tells_runs_apart,
)

MIDDLE = 0.005
"""Share by which the middle row of a point lies above its lowest, in the median of points, that is
worth saying. Seeds alone move the loss of a language model by less."""
OFTEN = 0.5
"""What counts as a setting: a column with several values at this share, or more, of the points that
have several rows, and with this many values a row, or fewer."""
MOST_NAMED = 6


def refuse_lowest(measure: str) -> None:
    """Raise UserError where the lowest value of a measure is the worst."""
    if is_better_high(measure):
        raise UserError(
            f"--lowest: higher values of '{measure}' are better, so the lowest row of a point is"
            " its worst; choose rows with --where"
        )


def lowest(points: Points) -> np.ndarray:
    """Return the row of the lowest measure at each point, the first of equals, in the order of the
    table."""
    order = np.lexsort((points.y, points.cells))
    _, first = np.unique(points.cells[order], return_index=True)
    return np.sort(order[first])


def spread(
    table: Table,
    points: Points,
    used: Collection[str | None],
    is_loss: bool,
    sets: Collection[str] = (),
) -> str:
    """Return a sentence about points whose middle row lies above the lowest by more than MIDDLE;
    empty where there are none, and where the measure is not above 0.

    used: the columns that are sizes, the measure, or the cluster. is_loss: the user called the
    measure a loss. Of another, such as the best learning rate, the lowest is not the best unless
    its name says so. sets: columns that tell sets of rows apart, the lowest of which are of one set
    alone.
    """
    by_point = pd.Series(points.y).groupby(points.cells)
    several = by_point.size() > 1
    if not several.any() or points.y.min() <= 0:
        return ""
    middle = float((by_point.median() / by_point.min())[several].median()) - 1
    highest = float((by_point.max() / by_point.min())[several].median()) - 1
    if middle <= MIDDLE:
        return ""

    measure = points.name("Y")
    settings = _settings(table, points.cells, used)
    sizes = _listed([f"'{points.name(role)}'" for role in points.inputs])
    said = (
        f"The {len(points.y):,} rows lie at {len(several):,} points of {sizes}, at which the middle"
        f" '{measure}' lies {_share(middle)} above the lowest and the highest {_share(highest)}"
        f" (medians over points){_varying(settings)}: the curve goes"
        " through the middle of them"
    )
    if not {"N", "D"} <= points.inputs.keys() and (like := [*filter(is_like_a_size, settings)]):
        return (
            f"{said}; if '{like[0]}' is a size, such as D (training tokens), name it with --columns"
            f" 'D={like[0]}', else choose rows with --where."
        )
    said += "; choose rows with --where"
    if sets or is_better_high(measure) or not (is_loss or is_measure(measure)):
        return f"{said}."
    when = "for a curve of tuned runs" if settings else "if they differ in settings, not in seeds"
    return (
        f"{said}, or, {when}, keep the row of the lowest '{measure}' at each"
        " point with --lowest (Python: lowest=True)."
    )


def _share(value: float) -> str:
    return f"{100 * value:,.0f} %" if value >= 1 else f"{100 * value:.3g} %"


def _varying(settings: list[str]) -> str:
    """Return which settings vary within points, in words."""
    if not settings:
        return ""
    names = [f"'{name}'" for name in settings[:MOST_NAMED]]
    if (more := len(settings) - MOST_NAMED) > 0:
        names.append(f"{more} more")
    verb = "varies like a setting" if len(names) == 1 else "vary like settings"
    return f", where {_listed(names)} {verb}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _settings(table: Table, cells: np.ndarray, used: Collection[str | None]) -> list[str]:
    """Return the columns that vary within points and look like settings.

    A setting has few values. A column that follows from the point and another setting, as steps
    follow from tokens and batch, is none of its own. Of a store, only fields of configurations are.
    """
    columns = table.columns
    if table.is_store:
        fields = {field for text in set(columns["config_json"]) for field in json.loads(text)}
        columns = {name: cells for name, cells in columns.items() if name in fields}

    found: dict[str, np.ndarray] = {}
    for name, column in columns.items():
        if name in used or is_measure(name) or tells_runs_apart(name):
            continue
        codes = pd.factorize(np.array([str(cell) for cell in column]))[0]
        values = pd.Series(codes).groupby(cells).nunique()[pd.Series(cells).value_counts() > 1]
        if codes.max() < OFTEN * len(cells) and (values > 1).mean() >= OFTEN:
            found[name] = codes

    kept: list[str] = []
    for name in sorted(found, key=lambda name: found[name].max()):
        if not any(_follows(found[name], found[other], cells) for other in kept):
            kept.append(name)
    return [name for name in found if name in kept]


def _follows(codes: np.ndarray, other: np.ndarray, cells: np.ndarray) -> bool:
    """Return whether a column has one value for each point and value of another."""
    pairs = pd.DataFrame({"cell": cells, "other": other})
    return len(pairs.drop_duplicates()) == len(pairs.assign(codes=codes).drop_duplicates())
