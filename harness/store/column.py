"""A column's definition, and the types and kinds of bound that columns share."""

from typing import NamedTuple

import pyarrow as pa

STR = pa.string()
BOOL = pa.bool_()
I32 = pa.int32()
I64 = pa.int64()
F64 = pa.float64()
TIME = pa.timestamp("us", tz="UTC")
FLOATS = pa.list_(F64)

LOWER = "lower bound"
ESTIMATE = "estimate"
UPPER = "upper bound"


class Column(NamedTuple):
    name: str
    type: pa.DataType
    unit: str
    meaning: str

    required: bool = False
    """Every row has a value; other columns may be null."""

    bound: str = ""
    """How a measured figure relates to the quantity it is about: LOWER, ESTIMATE or UPPER. Empty
    when the column holds the quantity itself."""
