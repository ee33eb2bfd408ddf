"""The section "Where the law can bind": the ceilings with their constants over what was measured,
for the cells below the noise, and for training radii at pure noise."""

from typing import NamedTuple

import pandas as pd

from reports.ceilings import NATS, cells_beside_ceilings, radii_beside_ceilings
from reports.evidence import Evidence
from reports.law import Fits
from reports.numbers import Number
from reports.sections.section import Section, fill

SHOWN = 24
"""Cells in a table: those that lie nearest to their ceiling."""
OF_CELL = {
    "n": ("column n", "int"),
    "d": ("column d_ambient", "int"),
    "p": ("column p", "int"),
    "c": ("c: 1 on the sphere, elsewhere isoperimetry_c, or 1 in rows without it", "sig3"),
}
OF_STABILITY = OF_CELL | {
    "stability": ("mean stability_attack_mean over seeds", "sig3"),
    "low": (f"ceiling on S at {NATS[0]:g} nat a parameter", "sig3"),
    "high": (f"ceiling on S at {NATS[1]:g} nats a parameter", "sig3"),
    "over low": (f"ceiling at {NATS[0]:g} nat over the stability found", "sig3"),
    "over high": (f"ceiling at {NATS[1]:g} nats over the stability found", "sig3"),
}
OF_RADIUS = OF_CELL | {
    "radius": ("mean training_radius over seeds", "sig3"),
    "r_inf": ("mean radius_ceiling over seeds", "sig3"),
    "low": (f"r_law at {NATS[0]:g} nat a parameter", "sig3"),
    "high": (f"r_law at {NATS[1]:g} nats a parameter", "sig3"),
}
"""Column of a table → how it was computed, and its style."""


class CellRow(NamedTuple):
    """One cell. `numbers`: its figures by column of the table; unknown ones are left out."""

    kind: str
    c_known: bool
    binds: bool
    numbers: dict[str, Number]


class Table(NamedTuple):
    """One ceiling beside the cells. `binding` of `cells` lie where it can bind."""

    cells: Number
    binding: Number
    rows: list[CellRow]
    c_known: bool

    def numbers(self) -> list[Number]:
        in_rows = [number for row in self.rows for number in row.numbers.values()]
        return [self.cells, self.binding, *in_rows]


def section(evidence: Evidence, fits: Fits) -> Section | None:
    stability = cells_beside_ceilings(evidence.trials)
    for end in ("low", "high"):
        stability[f"over {end}"] = stability[end] / stability["stability"]
    radii = radii_beside_ceilings(evidence.trials)
    if stability.empty and radii.empty:
        return None

    tables = {
        "stability": _table("stability", stability, "over low", OF_STABILITY),
        "radii": _table("radius", radii, "low", OF_RADIUS),
    }
    html = fill("binding.html.j2", **tables, shown=SHOWN)
    numbers = [number for table in tables.values() if table for number in table.numbers()]
    return Section("binding", "Where the law can bind", html, numbers)


def _table(
    key: str, cells: pd.DataFrame, nearness: str, columns: dict[str, tuple[str, str]]
) -> Table | None:
    """Return the table of the cells, None without any."""
    if cells.empty:
        return None
    trials = tuple(trial for of_cell in cells["trial_id"] for trial in of_cell)
    nearest = cells.nsmallest(SHOWN, nearness).sort_values(["kind", "n", "d", "p"])
    rows = [_row(f"binding:{key}:{name}", cell, columns) for name, cell in nearest.iterrows()]
    how = "cells where the ceiling can bind at 1 nat a parameter"
    binding = int(cells["binds"].sum())
    return Table(
        Number(f"binding:{key}:cells", len(cells), "cells", trials, "int"),
        Number(f"binding:{key}:binding", binding, how, trials, "int"),
        rows,
        bool(cells["c_known"].all()),
    )


def _row(key: str, cell: pd.Series, columns: dict[str, tuple[str, str]]) -> CellRow:
    numbers = {
        column: Number(f"{key}:{column}", float(cell[column]), how, cell["trial_id"], style)
        for column, (how, style) in columns.items()
        if pd.notna(cell[column])
    }
    return CellRow(cell["kind"], bool(cell["c_known"]), bool(cell["binds"]), numbers)
