"""From a table as people have it to the arrays that forms are fitted to.

    loaded = load("runs.csv", columns=["N=params,D=tokens,L=loss"], where=["loss<4"])
    loaded.points, loaded.columns, loaded.notes

Read the table, choose rows, find the columns, check every cell that is used, and derive what
follows from others: tokens from FLOPs and parameters, distinct tokens from epochs. What was
recognised or derived is said. A bad cell is one sentence with its row and column.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from harness.errors import UserError, did_you_mean
from reports.scaling.columns import COUNTS, Chosen, Named, choose, listed, with_logarithms
from reports.scaling.inputs import (
    check_distinct,
    derive,
    inputs_of,
    refuse_flat,
    refuse_lacking,
)
from reports.scaling.name_units import of_name
from reports.scaling.numerals import Problem, is_missing, numbers
from reports.scaling.points import Points
from reports.scaling.read_table import Source, Table, read_table, tidy_name
from reports.scaling.same_point import lowest as lowest_rows
from reports.scaling.same_point import refuse_lowest, spread
from reports.scaling.sets_of_rows import said_of_sets, set_columns
from reports.scaling.table_notes import notes_on, shared_models
from reports.where import fitting, parse, refuse_nothing

ALREADY_LARGE = 1e5
"""A column called `params (M)` whose numbers reach this counts in units after all."""


class Loaded(NamedTuple):
    """Points, and what is to be said about where they come from.

    table: its name in sentences. rows: rows that are fitted. left_out: rows that `where` leaves
    out. lowest: only the lowest row of each point is kept. columns: which column is which, in
    words. notes: what was derived, and what to be wary of. budget: FLOPs for which the best size is
    asked, None where none is.
    """

    points: Points
    table: str
    rows: int
    left_out: int
    where: tuple[str, ...]
    lowest: bool
    columns: str
    notes: tuple[str, ...]
    budget: float | None

    @property
    def filter(self) -> str:
        """Return which rows are fitted, in words; empty for all."""
        kept = f"the lowest '{self.points.name('Y')}' at each point"
        return " and ".join([*self.where, *([kept] if self.lowest else [])])


def load(
    source: Source,
    columns: Named = (),
    cluster: str | None = None,
    budget: str | float | None = None,
    where: Sequence[str] = (),
    needs: Collection[str] = (),
    positive: bool = True,
    lowest: bool = False,
) -> Loaded:
    """Read a table and return its points.

    columns, where: as on the command line. cluster: the column of what rows share. budget: FLOPs,
    or the column of each row's FLOPs, whose largest value is then the budget. needs: roles that
    the named forms need. positive: whether the measure must be above 0, as its logarithm needs.
    lowest: keep the row of the lowest measure of each point.

    Raise UserError for what is no table, a column or cell that cannot be used, and a table that no
    form can be fitted to.
    """
    whole = read_table(source)
    cluster = None if cluster is None else tidy_name(cluster)
    whole = with_logarithms(whole, columns)
    table = _where(whole, where)
    chosen = choose(table, columns, needs)
    measure = chosen.column[chosen.measure]
    if lowest:
        refuse_lowest(measure)
    asked = _budget(table, budget)
    if isinstance(asked, str):
        chosen = chosen._replace(column={**chosen.column, "C": asked})

    said: list[str] = []
    spare = {"C"} if {"N", "D"} <= chosen.column.keys() else set()
    values = {
        role: _column(table, column, role, positive, None if role in spare else said)
        for role, column in chosen.column.items()
    }
    names = {role: f"'{column}'" for role, column in chosen.column.items()}
    derive(table, values, names, said)
    notes = notes_on(table, chosen, values)
    said += notes.said
    if notes.distinct is not None:
        values["U"], names["U"] = notes.distinct, notes.distinct_name
    check_distinct(table, values, names, "U" in needs)

    y = values[chosen.measure]
    inputs = inputs_of(values, names, chosen, needs, said)
    refuse_lacking(table, needs, inputs)
    refuse_flat(table, y, measure, inputs, names)
    points = Points(
        inputs,
        y,
        None if cluster is None else _cluster(table, cluster),
        {
            "Y": measure,
            "cluster": cluster or "",
            "other N": chosen.alternative,
            **{role: names[role].strip("'") for role in inputs},
        },
        _alternatives(table, chosen, inputs),
    )
    if lowest:
        points = points.subset(lowest_rows(points))
    else:
        used = {*chosen.column.values(), cluster}
        sets = set_columns(table, points, used)
        said.append(said_of_sets(table, sets))
        said.append(spread(table, points, used, chosen.measure == "L", sets))
    said.append(shared_models(points, chosen.column.get("N", "COLUMN")))
    return Loaded(
        points,
        table.name,
        len(points.y),
        len(whole.rows) - len(points.y),
        tuple(where),
        lowest,
        _columns_said(chosen, names, inputs),
        tuple(filter(None, [*table.problems, *said])),
        float(values["C"].max()) if isinstance(asked, str) else asked,
    )


def _where(table: Table, conditions: Sequence[str]) -> Table:
    """Return the rows that fit all conditions. Raise UserError when none does."""
    if not conditions:
        return table
    parsed = [parse(condition) for condition in conditions]
    asked = {condition.field for condition in parsed}
    if several := asked & table.twice:
        name = sorted(several)[0]
        raise UserError(f"{table.name}: several columns are called '{name}'; rename one")
    frame = pd.DataFrame(
        {
            name: _typed(cells) if name in asked else cells
            for name, cells in table.columns.items()
            if name != "config_json"  # of a store, whose fields are columns here
        }
    )
    fits = fitting(frame, parsed)
    if not fits.any():
        refuse_nothing(frame, parsed)
    kept = np.flatnonzero(fits)
    columns = {name: [cells[i] for i in kept] for name, cells in table.columns.items()}
    return replace(table, columns=columns, rows=[table.rows[i] for i in kept])


def _typed(cells: Sequence[Any]) -> pd.Series:
    """Return a column's cells as numbers where all are, and as they stand elsewhere; None where a
    cell is empty."""
    present = [cell for cell in cells if not is_missing(cell)]
    plain = all(isinstance(cell, bool | np.bool_ | pd.Timestamp) for cell in present)
    found = Problem(0, "") if plain else numbers(present, counts=True)
    values = iter(present if isinstance(found, Problem) else found)
    return pd.Series([None if is_missing(cell) else next(values) for cell in cells])


def _column(
    table: Table, column: str, role: str, positive: bool, said: list[str] | None = None
) -> np.ndarray:
    """Return a column's numbers, (K,). Raise UserError for the first cell that cannot be used."""
    is_count = role in COUNTS
    found = numbers(table.columns[column], counts=is_count)
    if isinstance(found, Problem):
        is_empty = is_missing(table.columns[column][found.place])
        hint = f"; leave such rows out with --where '{column}!=none'" if is_empty else ""
        raise UserError(f"{cell_name(table, column, found.place)} {found.wrong}{hint}")

    least = found.min()
    if least <= 0 and (is_count or positive):
        place = int(found.argmin())
        why = "" if is_count else ", because residuals are of its logarithm"
        raise UserError(
            f"{cell_name(table, column, place)} is {least:g} and must be above 0{why}; leave such"
            f" rows out with --where '{column}>0'"
        )
    unit = of_name(column)
    if is_count and unit.multiple > 1 and (unit.noun == "flops" or found.max() < ALREADY_LARGE):
        found = found * unit.multiple
        if said is not None:
            said.append(
                f"The numbers of '{column}' are multiples of {unit.multiple:g}, as its name says."
            )
    return found


def cell_name(table: Table, column: str, place: int) -> str:
    """Return how a sentence names a cell."""
    return f"{table.name}, row {table.rows[place]}, column '{column}':"


def _budget(table: Table, budget: str | float | None) -> float | str | None:
    """Return FLOPs, or the column that the text names; None for no budget. Raise UserError for
    what is neither."""
    if isinstance(budget, str):
        found = numbers([budget], counts=True)
        if isinstance(found, Problem):
            if budget in table.columns:
                return budget
            raise UserError(
                f"--budget '{budget[:60]}': must be FLOPs such as 1e21, or a column of the table:"
                f" {listed(table)}{did_you_mean(budget, table.columns)}"
            )
        flops = float(found[0])
    elif budget is None:
        return None
    else:
        flops = float(budget)
    if not 0 < flops < math.inf:
        raise UserError(f"--budget {flops:g}: FLOPs must be above 0 and finite")
    return flops


def _cluster(table: Table, column: str) -> np.ndarray:
    """Return the label of what each row shares with others, (K,)."""
    if column not in table.columns:
        raise UserError(
            f"--cluster '{column[:60]}': {table.name} has no such column; it has {listed(table)}"
            f"{did_you_mean(column, table.columns)}"
        )
    cells = table.columns[column]
    for place, cell in enumerate(cells):
        if is_missing(cell):
            raise UserError(f"{cell_name(table, column, place)} has no value, but is --cluster")
    labels = np.array([str(cell) for cell in cells])
    if len(set(labels)) == 1:
        raise UserError(
            f"--cluster {column}: every row has '{labels[0][:40]}', so no rows are independent"
        )
    return labels


def _alternatives(
    table: Table, chosen: Chosen, inputs: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return N by the other convention, where the table has it for every row, N is an input, and
    the two are not the same."""
    if not chosen.alternative or "N" not in inputs:
        return {}
    found = numbers(table.columns[chosen.alternative], counts=True)
    if isinstance(found, Problem) or found.min() <= 0 or np.array_equal(found, inputs["N"]):
        return {}
    return {"N": found}


def _columns_said(chosen: Chosen, names: dict[str, str], inputs: dict[str, np.ndarray]) -> str:
    """Return which column is which, in words."""
    parts = [f"{role} is {names[role]}" for role in inputs]
    parts.append(f"the measure is '{chosen.column[chosen.measure]}'")
    how = "" if chosen.named else ", recognised by their names"
    return ", ".join(parts) + how
