"""The section "Where the law can bind": the ceiling with its constants over what was measured, for
every cell below the noise."""

from typing import NamedTuple

import pandas as pd

from reports.ceilings import NATS, cells_beside_ceilings
from reports.evidence import Evidence
from reports.law import Fits
from reports.numbers import Number
from reports.sections.section import Section, fill


class CellRow(NamedTuple):
    """One cell. `numbers`: its figures by column of the table."""

    kind: str
    c_known: bool
    binds: bool
    numbers: dict[str, Number]


HOW = {
    "n": ("column n", "int"),
    "d": ("column d_ambient", "int"),
    "p": ("column p", "int"),
    "c": ("c: 1 on the sphere, elsewhere isoperimetry_c, or 1 in rows without it", "sig3"),
    "stability": ("mean stability_attack_mean over seeds", "sig3"),
    "low": (f"ceiling on S at {NATS[0]:g} nat a parameter", "sig3"),
    "high": (f"ceiling on S at {NATS[1]:g} nats a parameter", "sig3"),
    "over low": (f"ceiling at {NATS[0]:g} nat over the stability found", "sig3"),
    "over high": (f"ceiling at {NATS[1]:g} nats over the stability found", "sig3"),
}
"""Column of the table → how it was computed, and its style."""


def section(evidence: Evidence, fits: Fits) -> Section | None:
    cells = cells_beside_ceilings(evidence.trials)
    if cells.empty:
        return None
    cells = cells.assign(
        **{f"over {end}": cells[end] / cells["stability"] for end in ("low", "high")}
    ).sort_values(["kind", "n", "d", "p"])
    rows = [_row(str(name), cell) for name, cell in cells.iterrows()]

    trials = tuple(trial for of_cell in cells["trial_id"] for trial in of_cell)
    counts = {
        "cells": Number("binding:cells", len(cells), "cells below the noise", trials, "int"),
        "binding": Number(
            "binding:binding",
            int(cells["binds"].sum()),
            "cells whose ceiling at 1 nat a parameter lies below stability_cap",
            trials,
            "int",
        ),
    }
    html = fill("binding.html.j2", counts=counts, rows=rows, c_known=cells["c_known"].all())
    numbers = [*counts.values(), *(number for row in rows for number in row.numbers.values())]
    return Section("binding", "Where the law can bind", html, numbers)


def _row(name: str, cell: pd.Series) -> CellRow:
    numbers = {
        column: Number(
            f"binding:{name}:{column}", float(cell[column]), how, cell["trial_id"], style
        )
        for column, (how, style) in HOW.items()
    }
    return CellRow(cell["kind"], bool(cell["c_known"]), bool(cell["binds"]), numbers)
