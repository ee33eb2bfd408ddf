"""The row: every column that a trial reports, with its type, unit and meaning.

This is the only place that knows the columns: every other list of them is derived from here.

>>> from harness.store.schema import arrow_schema
>>> arrow_schema().field("p").metadata[b"unit"]
b'parameters'
"""

from functools import cache
from typing import Any

import pyarrow as pa

from harness.store.column import Column
from harness.store.columns.accuracy import ACCURACY
from harness.store.columns.adversarial import ADVERSARIAL
from harness.store.columns.cost import COST
from harness.store.columns.data import DATA
from harness.store.columns.frontier import FRONTIER
from harness.store.columns.hypothesis import HYPOTHESIS
from harness.store.columns.lipschitz import LIPSCHITZ
from harness.store.columns.perturbations import PERTURBATIONS
from harness.store.columns.pictures import PICTURES
from harness.store.columns.provenance import PROVENANCE
from harness.store.columns.size import SIZE
from harness.store.columns.stability import STABILITY
from harness.store.columns.training import TRAINING
from harness.store.columns.training_radius import TRAINING_RADIUS
from harness.store.columns.trial import TRIAL

SCHEMA_VERSION = 9
"""Version of this table. A store that a newer version has written to is refused."""

MEASURES_VERSION = 8
"""Increase it when an instrument in `harness/measures/` starts to give other numbers."""

Columns = dict[str, Any]
"""Values of one row, or of a part of it, by column name."""

MEASURED: tuple[Column, ...] = (
    *ACCURACY,
    *DATA,
    *STABILITY,
    *TRAINING_RADIUS,
    *LIPSCHITZ,
    *ADVERSARIAL,
    *PERTURBATIONS,
    *PICTURES,
)
"""Columns that the instruments fill. `unilaw measure` replaces them and no others."""

COLUMNS: tuple[Column, ...] = (
    *TRIAL,
    *SIZE,
    *HYPOTHESIS,
    *TRAINING,
    *FRONTIER,
    *MEASURED,
    *COST,
    *PROVENANCE,
)
"""Every column, in the order in which row files and docs/columns.md show them."""


def measured_columns() -> list[str]:
    """Return the names of the columns that the instruments fill, in schema order."""
    return [column.name for column in MEASURED]


@cache
def arrow_schema() -> pa.Schema:
    """Return the Arrow schema of a row file, with each column's unit, meaning and bound as field
    metadata."""
    fields = [
        pa.field(
            column.name,
            column.type,
            nullable=not column.required,
            metadata={"unit": column.unit, "meaning": column.meaning, "bound": column.bound},
        )
        for column in COLUMNS
    ]
    return pa.schema(fields, metadata={"unilaw_schema_version": str(SCHEMA_VERSION)})
