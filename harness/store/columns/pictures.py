"""Pictures of the smallest changes found."""

import pyarrow as pa

from harness.store.column import F64, STR, UPPER, Column

CHANGES = pa.list_(pa.struct([("label", STR), ("before", STR), ("after", STR), ("distance", F64)]))

PICTURES: tuple[Column, ...] = (
    Column(
        "pictures_file",
        STR,
        "",
        "PNG in the store: a few held-out images, the smallest changes found, and their sums, cut"
        " at the ends of the box",
    ),
    Column(
        "pictures",
        CHANGES,
        "data units",
        "for each of them the label, the predictions before and after, and the change's length",
        bound=UPPER,
    ),
)
