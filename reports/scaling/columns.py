"""Which column of a table means what: as the user says, else by usual names, else a question.

    chosen = choose(table, "N=params,D=tokens,L=loss")
    chosen.column["N"], chosen.measure

Roles: N parameters, D training tokens, U distinct tokens, C training compute in FLOPs, X any one
size, L the loss, Y another measure. Where Y is named, L is an input (what a benchmark's error is
predicted from); otherwise L is what is measured.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from shlex import quote
from typing import Any, NamedTuple

from harness.errors import UserError, did_you_mean
from reports.scaling.name_units import of_name
from reports.scaling.numerals import Problem, is_missing, numbers
from reports.scaling.read_table import Table, tidy_name
from reports.scaling.usual_names import (
    EPOCHS,
    LESS_USUAL,
    LOSSES,
    PERPLEXITY,
    RATIOS,
    SCORES,
    USUAL,
    VAGUE,
    WAYS,
    WITHOUT_EMBEDDINGS,
    bare,
    is_no_measure,
    is_ratio,
    words,
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
LEAST = 1e4
"""Parameters or tokens from which on a column called `Model` or `Data` holds sizes, not names."""
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
    elif len(sizes) == 1 and not table.is_store:
        sizes |= _other_size(table, sizes, taken)

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
    found = {role: _one_of(table, role, taken) for role in "NDU"}
    # FLOPs beside both sizes are no input, so which of two columns they are need not be asked.
    found["C"] = _one_of(table, "C", taken, asks=not (found["N"] and found["D"]))
    vague = {role: _vague(table, role, taken | set(found.values())) for role in "ND"}
    for role, other in (("N", "D"), ("D", "N")):
        if not found[role] and (found[other] or found["C"] or vague[other]):
            found[role] = vague[role]
    if not any(found[role] for role in "NDC"):
        found = {"X": _one_of(table, "X", taken)}
    return {role: column for role, column in found.items() if column}


def _other_size(table: Table, named: dict[str, str], taken: set[str]) -> dict[str, str]:
    """Return D, or FLOPs, where the user named N alone, and N likewise where it was D: whoever says
    which of two columns is N has not said that there is no D."""
    (role,) = named
    if role not in "ND":
        return {}
    wanted = "D" if role == "N" else "N"
    found = _usual_sizes(table, taken)
    if wanted in found:
        return {wanted: found[wanted]}
    return {"C": found["C"]} if "C" in found else {}


def _vague(table: Table, role: str, taken: set[str]) -> str:
    """Return the column of a vague name, such as `Size` or `Data`, that holds sizes; empty for
    none."""
    names = set(VAGUE[role].split())
    for name, cells in table.columns.items():
        if name in taken or name in table.twice or not words(name, bare) & names:
            continue
        found = numbers([cell for cell in cells if not is_missing(cell)], counts=True)
        if isinstance(found, Problem) or not len(found) or found.min() <= 0:
            continue
        # Numbers of models, such as 0 to 9, are no sizes.
        if found.max() * of_name(name).multiple >= LEAST or "size" in bare(name):
            return name
    return ""


def with_logarithms(table: Table, named: Named) -> Table:
    """Return the table with a column for each `ln(COLUMN)` that is named, as the loss of a
    perplexity. A cell that has no logarithm stays as it is, for a sentence that quotes it."""
    columns = dict(table.columns)
    for _, name in _pairs(named):
        found = re.fullmatch(r"(?:ln|log)\((.+)\)", name)
        if found is None or name in columns or found[1] not in columns:
            continue
        columns[name] = [_logarithm(cell) for cell in columns[found[1]]]
    return replace(table, columns=columns)


def _logarithm(cell: Any) -> Any:
    value = numbers([cell])
    return cell if isinstance(value, Problem) or value[0] <= 0 else math.log(value[0])


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


def _one_of(table: Table, role: str, taken: set[str], asks: bool = True) -> str:
    """Return the column that has a usual name of the role; empty where there is none, and where
    there are several and nobody is to be asked."""
    free = [name for name in table.columns if name not in taken and not is_ratio(name)]
    for usual in (USUAL[role].split(), LESS_USUAL[role].split()):
        for way in WAYS:
            found = [name for name in free if words(name, way) & set(usual)]
            if found:
                return _the_only(table, role, found) if asks or len(found) == 1 else ""
    return ""


def _measure(table: Table, taken: set[str]) -> dict[str, str]:
    """Return the measure, by role: a loss, else a score. Raise UserError where there is none."""
    for role in ("L", "Y"):
        if column := _shaped(table, role, taken):
            return {role: column}
    perplexity = next((n for n in table.columns if re.fullmatch(PERPLEXITY, bare(n))), "")
    if perplexity:
        raise UserError(
            f"{table.name}: no column is called a loss, and the logarithm of a perplexity is one;"
            f" name it with --columns 'L=ln({perplexity})'"
        )
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
    free = [name for name in table.columns if name not in taken and not is_no_measure(name)]
    for shape in LOSSES if role == "L" else SCORES:
        for way in WAYS:
            if fits := [n for n in free if re.fullmatch(shape, way(of_name(n).base))]:
                return _the_only(table, role, fits)
    return ""


def _alternative(table: Table, sizes: dict[str, str]) -> str:
    """Return the column of N by the other convention; empty for none."""
    if "N" not in sizes:
        return ""
    is_without = any(words(sizes["N"], way) & set(WITHOUT_EMBEDDINGS.split()) for way in WAYS)
    return first_named(table, USUAL["N"] if is_without else WITHOUT_EMBEDDINGS)


def first_named(table: Table, usual: str) -> str:
    """Return the first column that has one of the names; empty for none."""
    is_asked = usual == RATIOS
    for way in WAYS:
        for name in table.columns:
            if words(name, way) & set(usual.split()) and is_ratio(name) <= is_asked:
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
            f" {quote(f'{role}={found[0]}')}"
        )
    return found[0]
