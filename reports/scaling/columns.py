"""Which column of a table means what: as the user says, else by usual names, else a question.

    chosen = choose(table, "N=params,D=tokens,L=loss")
    chosen.column["N"], chosen.measure

Roles: N parameters, D training tokens, U distinct tokens, C training compute in FLOPs, X any one
size, L the loss, Y another measure. Where Y is named, L is an input (what a benchmark's error is
predicted from); otherwise L is what is measured.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from harness.errors import UserError, did_you_mean
from reports.scaling.numerals import is_missing
from reports.scaling.read_table import Table, tidy_name
from reports.scaling.usual_names import (
    EPOCHS,
    IN_UNITS,
    LESS_USUAL,
    LOSSES,
    SCORES,
    USUAL,
    WAYS,
    WITHOUT_EMBEDDINGS,
    is_ratio,
)

ROLES = {
    "N": "parameters",
    "D": "training tokens",
    "U": "distinct tokens",
    "C": "training compute in FLOPs",
    "X": "any one size",
    "L": "loss",
    "Y": "another measure",
}
COUNTS = frozenset("NDUCX")
"""Roles of sizes, which may be written as 124M."""

STORE = {"N": "p", "D": "tokens_seen", "U": "tokens_distinct", "L": "test_loss"}
"""Columns of a store, whose n counts samples."""
MOST_SHOWN = 30
Named = str | Sequence[str] | Mapping[str, str]
"""Columns as the command line has them, in one text or several, or by role."""


class Chosen(NamedTuple):
    """Columns by role. measure: the role that is fitted, L or Y. named: the user named columns.
    sizes_named: columns of sizes among them. epochs, alternative: a column that says how often
    tokens repeat, and N by the other convention, without embeddings or, where N is without, with
    them; empty where there is none."""

    column: dict[str, str]
    measure: str
    named: bool
    sizes_named: bool
    epochs: str
    alternative: str


def choose(table: Table, named: Named = (), needs: Collection[str] = ()) -> Chosen:
    """Return the column of each role.

    named: texts such as "N=params,D=tokens,L=loss", or columns by role. Sizes are recognised only
    where the user names none. needs: roles that the forms in question need. Raise UserError for a
    column or role that does not exist, for a role that several columns may have, and where there
    is no measure.
    """
    given: dict[str, str] = {}
    for role, column in _pairs(named):
        _refuse_unknown(table, role, column, given)
        given[role] = column
    taken = set(given.values())

    sizes = {role: column for role, column in given.items() if role in COUNTS}
    sizes_named = bool(sizes)
    if not sizes:
        sizes = _store_sizes(table) if table.is_store else _usual_sizes(table, taken)

    found = {role: column for role, column in given.items() if role not in COUNTS}
    if "L" in needs:
        missing = [role for role in ("L", "Y") if role not in found]
        found |= {role: _required(table, role, taken) for role in missing}
    elif not found:
        found = {"L": STORE["L"]} if table.is_store else _measure(table, taken)
    return Chosen(
        column=sizes | found,
        measure="Y" if "Y" in found else "L",
        named=bool(given),
        sizes_named=sizes_named,
        epochs=first_named(table, EPOCHS),
        alternative=_alternative(table, sizes),
    )


def _store_sizes(table: Table) -> dict[str, str]:
    """Return the sizes of a store's rows: tokens only where every row has them."""
    sizes = {role: column for role, column in STORE.items() if role in COUNTS}
    if any(map(is_missing, table.columns[sizes["D"]])):
        return {"N": sizes["N"]}
    return sizes


def _usual_sizes(table: Table, taken: set[str]) -> dict[str, str]:
    """Return the columns that have usual names of sizes; X only where there is no other."""
    found = {role: _one_of(table, role, taken) for role in "NDUC"}
    if not any(found[role] for role in "NDC"):
        found = {"X": _one_of(table, "X", taken)}
    return {role: column for role, column in found.items() if column}


def _pairs(named: Named) -> Iterable[tuple[str, str]]:
    """Yield role and column of texts such as "N=params,D=tokens". A comma inside a column's name is
    told from one between two pairs by the missing sign after it."""
    if isinstance(named, Mapping):
        yield from ((role.upper(), tidy_name(column)) for role, column in named.items())
        return
    for text in [named] if isinstance(named, str) else named:
        pairs: list[str] = []
        for piece in text.split(","):
            if "=" in piece or not pairs:
                pairs.append(piece)
            else:
                pairs[-1] += f",{piece}"
        for pair in pairs:
            role, sign, column = pair.partition("=")
            if not sign or not column.strip():
                raise UserError(
                    f"--columns '{pair.strip()[:60]}': must be ROLE=COLUMN, such as N=params"
                )
            yield role.strip().upper(), tidy_name(column)


def _refuse_unknown(table: Table, role: str, column: str, given: dict[str, str]) -> None:
    """Raise UserError for a role or a column that does not exist, or is named twice."""
    if role in given or column in given.values():
        raise UserError(f"--columns {role[:20]}={column[:40]}: one of the two is named already")
    if role not in ROLES:
        roles = ", ".join(f"{role} ({meaning})" for role, meaning in ROLES.items())
        raise UserError(f"--columns {role[:20]}={column[:40]}: the roles are {roles}")
    if column in table.twice:
        raise UserError(f"{table.name}: several columns are called '{column}'; rename one")
    if column not in table.columns:
        raise UserError(
            f"{table.name} has no column '{column[:60]}' for {role}; it has {listed(table)}"
            f"{did_you_mean(column, table.columns)}"
        )


def listed(table: Table) -> str:
    """Return the names of a table's columns, in words."""
    names = list(table.columns)
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(f"'{name[:40]}'" for name in names[:MOST_SHOWN]) + more


def _one_of(table: Table, role: str, taken: set[str]) -> str:
    """Return the column that has a usual name of the role; empty where there is none."""
    free = [name for name in table.columns if name not in taken and not is_ratio(name)]
    for usual in (USUAL[role].split(), LESS_USUAL[role].split()):
        for way in WAYS:
            found = [n for n in free if way(n) in usual or way(IN_UNITS.sub("", n)) in usual]
            if found:
                return _the_only(table, role, found)
    return ""


def _measure(table: Table, taken: set[str]) -> dict[str, str]:
    """Return the measure, by role: a loss, else a score. Raise UserError where there is none."""
    for role in ("L", "Y"):
        if column := _shaped(table, role, taken):
            return {role: column}
    raise UserError(
        f"{table.name}: no column is called a loss, an error or an accuracy; name the measure with"
        f" --columns L=COLUMN; the columns are {listed(table)}"
    )


def _required(table: Table, role: str, taken: set[str]) -> str:
    """Return the loss or score that a form needs. Raise UserError where there is none."""
    if column := _shaped(table, role, taken):
        return column
    what = "loss" if role == "L" else "score"
    raise UserError(
        f"{table.name}: the {what} that the form needs is missing; name it with --columns"
        f" {role}=COLUMN; the columns are {listed(table)}"
    )


def _shaped(table: Table, role: str, taken: set[str]) -> str:
    """Return the column whose name has the likeliest shape of a measure's; empty for none."""
    free = [name for name in table.columns if name not in taken and not is_ratio(name)]
    for shape in LOSSES if role == "L" else SCORES:
        for way in WAYS:
            if fits := [name for name in free if re.fullmatch(shape, way(name))]:
                return _the_only(table, role, fits)
    return ""


def _alternative(table: Table, sizes: dict[str, str]) -> str:
    """Return the column of N by the other convention; empty for none."""
    if "N" not in sizes:
        return ""
    is_without = any(way(sizes["N"]) in WITHOUT_EMBEDDINGS.split() for way in WAYS)
    return first_named(table, USUAL["N"] if is_without else WITHOUT_EMBEDDINGS)


def first_named(table: Table, usual: str) -> str:
    """Return the first column that has one of the names; empty for none."""
    for way in WAYS:
        for name in table.columns:
            if way(name) in usual.split() and not is_ratio(name):
                return name
    return ""


def _the_only(table: Table, role: str, found: Sequence[str]) -> str:
    """Return the one column that is found; the first of several that are equal in every row. Raise
    UserError that asks which of several others is meant."""
    for name in found:
        if name in table.twice:
            raise UserError(f"{table.name}: several columns are called '{name}'; rename one")
    first = table.columns[found[0]]
    if any(table.columns[name] != first for name in found[1:]):
        names = " or ".join(f"'{name}'" for name in found)
        raise UserError(
            f"{table.name}: {role} ({ROLES[role]}) may be {names}; choose with --columns"
            f" {role}={found[0]}"
        )
    return found[0]
