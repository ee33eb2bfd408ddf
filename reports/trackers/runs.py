"""A trial as a run of an experiment tracker."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd

from harness.store.column import BOOL, F64, I32, I64
from harness.store.schema import arrow_schema

Value = str | int | float | bool

SETTINGS = ("seed", "attempt", "task_version", "measures_version", "measurement", "schema_version")
"""Columns of numbers that say which row it is, and are no figures."""


class Run(NamedTuple):
    """One trial in its latest view."""

    trial: str
    """Its id."""
    version: str
    """Names its row among those of the trial: another attempt or measurement has another."""
    name: str
    ok: bool
    finished: datetime
    config: dict[str, Value]
    figures: dict[str, float]
    """Every number that was measured, counted or timed."""


def runs(rows: pd.DataFrame) -> Iterator[Run]:
    """Yield a run for each row of `what_leaves`. Null values are left out."""
    schema = arrow_schema()
    numbers = [field.name for field in schema if field.type in (BOOL, F64, I32, I64)]
    figures = [name for name in numbers if name in rows and name not in SETTINGS]
    nested = [name for name in rows if name in schema.names and _is_nested(str(name))]
    config = rows.columns.difference([*figures, *nested, "started_at", "measured_at"], sort=False)

    for row in rows.to_dict("records"):
        known = {str(name): value for name, value in row.items() if _is_known(value)}
        measurement = int(known.get("measurement", 0))
        yield Run(
            trial=known["trial_id"],
            version=f"{known['status']}-{known['attempt']}-{known['measures_version']}-{measurement}",
            name=_name(known),
            ok=known["status"] == "ok",
            finished=known["finished_at"].to_pydatetime(),
            config={
                name: known[name] for name in config if name in known and name != "finished_at"
            },
            figures={name: float(known[name]) for name in figures if name in known},
        )


def _is_nested(name: str) -> bool:
    return bool(arrow_schema().field(name).type.num_fields)


def _is_known(value: Any) -> bool:
    return not (pd.api.types.is_scalar(value) and pd.isna(value))


def _name(known: dict[str, Value]) -> str:
    size = f" p={int(known['p'])}" if "p" in known else ""
    return f"{known.get('kind', known['task'])}{size} seed={known['seed']}"
