"""How large the model and its training set are."""

import pyarrow as pa

from harness.store.column import F64, I32, I64, STR, Column

GROUPS = pa.list_(pa.struct([("group", STR), ("trainable", I64), ("frozen", I64)]))

SIZE: tuple[Column, ...] = (
    Column("p", I64, "parameters", "trainable parameters; tied weights count once"),
    Column("p_frozen", I64, "parameters", "parameters that are never trained; not part of p"),
    Column(
        "params_by_group",
        GROUPS,
        "parameters",
        "trainable and frozen parameters of each top-level module",
    ),
    Column("n", I64, "samples", "training samples"),
    Column("d_ambient", I64, "dimensions", "numbers in one input"),
    Column(
        "outputs",
        I32,
        "count",
        "1 for a ±1 target under squared loss, K for K classes under cross-entropy",
    ),
    Column(
        "tokens_distinct",
        I64,
        "tokens",
        "distinct supervised targets: one per sample, several of a window, or every position of a"
        " text; null where not published",
    ),
    Column("tokens_seen", I64, "tokens", "supervised targets trained on, repeats counted"),
    Column("params_per_token", F64, "parameters / token", "p / tokens_distinct"),
)
