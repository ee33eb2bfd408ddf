"""What a table itself warns of before anything is fitted: repeated tokens, rows that share a model,
sizes in unknown units, several kinds of trials."""

from shlex import quote
from typing import NamedTuple

import numpy as np

from reports.scaling.columns import Chosen, first_named
from reports.scaling.numerals import Problem, numbers
from reports.scaling.points import Points
from reports.scaling.read_table import Table
from reports.scaling.usual_names import USUAL

SMALL = 1e3
"""Parameters or tokens that nowhere reach this are probably counted in millions or billions."""
SHARED = 3
"""Values of D per value of N from which rows look like checkpoints of one run."""
TELL_KINDS = ("task", "family", "noise_kind", "epsilon", "stop_rule", "adversary", "frontier")
"""Columns of a store that tell kinds of trials apart."""
ROUNDING = 1e-3
"""Distinct tokens may exceed tokens by this share, from rounding."""


class Notes(NamedTuple):
    """said: sentences. distinct: distinct tokens of each row where the table lets them be computed
    or recognised, and what to call them."""

    said: list[str]
    distinct: np.ndarray | None
    distinct_name: str


def notes_on(table: Table, chosen: Chosen, values: dict[str, np.ndarray]) -> Notes:
    """Return what a table warns of. values: the columns by role."""
    said: list[str] = []
    distinct, distinct_name = _repeats(table, chosen, values, said)

    for role in ("N", "D"):
        if role in values and values[role].max() < SMALL:
            said.append(
                f"'{chosen.column.get(role, role)}' is at most {values[role].max():g}: if it counts"
                " in millions or billions, say so in its name, as in 'params (M)'; exponents do not"
                " change, budgets do."
            )
    if table.is_store and (kinds := len(set(table.columns["kind"]))) > 1:
        differ = [
            name
            for name in TELL_KINDS
            if name in table.columns and len(set(map(str, table.columns[name]))) > 1
        ]
        said.append(
            f"The rows are of {kinds} kinds, which one curve mixes; choose one with --where, by"
            f" {', '.join(differ)}."
        )
    return Notes(said, distinct, distinct_name)


def shared_models(points: Points, column: str) -> str:
    """Return a sentence about rows that may be checkpoints of one run; empty where they are not
    many, or a cluster says what they share. column: of N."""
    if points.cluster is not None or not {"N", "D"} <= points.inputs.keys():
        return ""
    models = len(np.unique(points.inputs["N"]))
    if len(np.unique(points.cells)) < SHARED * models:
        return ""
    return (
        f"The {len(points.y):,} rows have {models} values of N. If rows of one N are checkpoints of"
        f" one run, they are not independent: name --cluster {quote(column)}, which"
        " widens the intervals."
    )


def _repeats(
    table: Table, chosen: Chosen, values: dict[str, np.ndarray], said: list[str]
) -> tuple[np.ndarray | None, str]:
    """Return distinct tokens where tokens repeat and the table says how often; else say that it is
    not known, or not used."""
    if "D" not in values or "U" in values:
        return None, ""
    found = _distinct(table, chosen, values["D"])
    if found is None:
        return None, ""

    distinct, name = found
    repeated = distinct < values["D"] * (1 - ROUNDING)
    if not repeated.any():
        return None, ""
    first = table.rows[int(repeated.argmax())]
    count = int(repeated.sum())
    which = f"Tokens repeat in {count} of {len(distinct)} rows, the first of them row {first}"
    if chosen.named:
        said.append(
            f"{which} ({name}). No column of distinct tokens is named, so a repeated token counts"
            " as a new one; name one with U=COLUMN."
        )
        return None, ""
    said.append(f"{which}; distinct tokens are {name}.")
    return distinct, name


def _distinct(table: Table, chosen: Chosen, tokens: np.ndarray) -> tuple[np.ndarray, str] | None:
    """Return distinct tokens by a column of them, or by one of epochs, and their name."""
    if column := first_named(table, USUAL["U"]):
        found = numbers(table.columns[column], counts=True)
        return None if isinstance(found, Problem) else (found, f"'{column}'")
    if chosen.epochs:
        found = numbers(table.columns[chosen.epochs])
        if not isinstance(found, Problem) and found.min() > 0:
            tokens_once = tokens / np.maximum(found, 1)
            return tokens_once, f"tokens / '{chosen.epochs}'"
    return None
