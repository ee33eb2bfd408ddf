"""The schema: every column has a meaning, and row files carry it.

Run alone: python -m pytest tests/store/test_schema.py
"""

import pyarrow.parquet as pq

from harness.store.schema import COLUMNS, SCHEMA_VERSION, arrow_schema, measured_columns
from harness.store.store import Store
from tests.store.rows import appended, row


def test_every_column_says_what_it_means():
    schema = arrow_schema()
    for column in COLUMNS:
        field = schema.field(column.name)
        metadata = field.metadata or {}
        assert (field.type, field.nullable) == (column.type, not column.required), column.name
        assert metadata[b"unit"].decode() == column.unit, column.name
        assert metadata[b"meaning"].decode() == column.meaning, column.name
        assert column.meaning or column.name in ("python_version", "torch_version"), column.name


def test_column_names_are_distinct():
    assert len({c.name for c in COLUMNS}) == len(COLUMNS)


def test_measured_columns_stand_together_from_test_loss_to_pictures():
    names = [column.name for column in COLUMNS]
    first = names.index("test_loss")
    last = names.index("pictures")
    assert measured_columns() == names[first : last + 1]


def test_a_files_own_schema_carries_units_and_version(store: Store):
    schema = pq.read_schema(appended(store, [row()]))
    assert schema.field("p").metadata[b"unit"] == b"parameters"
    assert schema.metadata[b"unilaw_schema_version"] == str(SCHEMA_VERSION).encode()
    assert schema.remove_metadata() == arrow_schema().remove_metadata()
