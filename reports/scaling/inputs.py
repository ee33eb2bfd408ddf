"""What a form's inputs are, given the columns of a table: derived from others where they are not
there, reduced to one size where only one varies, and refused where there is no curve in them."""

from collections.abc import Collection

import numpy as np

from harness.errors import UserError
from reports.scaling.columns import ROLES, Chosen, first_named, listed
from reports.scaling.number import number, span
from reports.scaling.numerals import Problem, numbers
from reports.scaling.optimum import FLOPS_PER
from reports.scaling.read_table import Table
from reports.scaling.table_notes import ROUNDING
from reports.scaling.usual_names import RATIOS

HARDLY = 1.25
"""Factor between the smallest and the largest of a size below which a form of it tells nothing."""


def derive(
    table: Table, values: dict[str, np.ndarray], names: dict[str, str], said: list[str]
) -> None:
    """Add tokens from FLOPs and parameters, or parameters from FLOPs and tokens; else tokens from
    parameters and tokens for each of them."""
    for role, other in (("D", "N"), ("N", "D")):
        if "C" in values and other in values and role not in values and "X" not in values:
            values[role] = values["C"] / (FLOPS_PER * values[other])
            what = "tokens" if role == "D" else "parameters"
            names[role] = f"'{what}'"
            said.append(
                f"The {what} are computed: {names['C']} / (6 · {names[other]}), since training"
                " takes 6 FLOPs per parameter and token."
            )
    if "N" in values and not values.keys() & {"D", "X"}:
        ratio = first_named(table, RATIOS)
        found = numbers(table.columns[ratio]) if ratio else Problem(0, "")
        if not isinstance(found, Problem) and found.min() > 0:
            values["D"], names["D"] = values["N"] * found, "'tokens'"
            said.append(f"The tokens are computed: {names['N']} · '{ratio}'.")


def check_distinct(
    table: Table, values: dict[str, np.ndarray], names: dict[str, str], needed: bool
) -> None:
    """Drop distinct tokens where none repeat, unless they are `needed`. Raise UserError for more
    distinct tokens than tokens."""
    if "U" not in values or "D" not in values:
        values.pop("U", None)
        return
    over = values["U"] > values["D"] * (1 + ROUNDING)
    if over.any():
        place = int(over.argmax())
        raise UserError(
            f"{table.name}, row {table.rows[place]}: {values['U'][place]:g} distinct tokens"
            f" ({names['U']}) exceed {values['D'][place]:g} tokens ({names['D']})"
        )
    values["U"] = np.minimum(values["U"], values["D"])
    if not needed and (values["U"] > values["D"] * (1 - ROUNDING)).all():
        del values["U"]


def inputs_of(
    values: dict[str, np.ndarray],
    names: dict[str, str],
    chosen: Chosen,
    needs: Collection[str],
    said: list[str],
) -> dict[str, np.ndarray]:
    """Return the inputs by role.

    Where no form asks for N or D by name, no tokens repeat, and only one size varies, that size is
    X. A size that the user did not name does not count where it hardly varies beside another.
    """
    roles = ["N", "D", "U", "X"] + (["L"] if chosen.measure == "Y" else [])
    inputs = {role: values[role] for role in roles if role in values}
    if inputs.keys() & {"X", "U"} or set(needs) & {"N", "D", "U"} or set(needs) == {"L"}:
        return inputs

    sizes = [role for role in "ND" if role in inputs] or [role for role in "C" if role in values]
    varying = [role for role in sizes if np.ptp(values[role]) > 0]
    if not chosen.sizes_named:
        ends = {role: (values[role].min(), values[role].max()) for role in varying}
        telling = [role for role, (low, high) in ends.items() if high >= HARDLY * low]
        varying = telling or varying
    if len(varying) != 1:
        return inputs

    (only,) = varying
    for other in set(sizes) - {only}:
        said.append(f"{_left_out(names[other], values[other])} in {names[only]} alone.")
    names["X"] = names[only]
    return {"X": values[only]} | {role: inputs[role] for role in inputs if role == "L"}


def _left_out(name: str, size: np.ndarray) -> str:
    """Return why a size is no input, up to the name of the one that is."""
    low, high = size.min(), size.max()
    if low == high:
        return f"{name} is {number(low)} in every row, so the curve is"
    return (
        f"{name} spans only {span(low, high)}, which shows no exponent; --columns can name it."
        " The curve is"
    )


def refuse_lacking(table: Table, needs: Collection[str], inputs: Collection[str]) -> None:
    """Raise UserError where the named forms need an input that no column is."""
    for role in "NDUXL":
        if role in needs and role not in inputs:
            raise UserError(
                f"{table.name}: the form needs {role} ({ROLES[role]}); name its column with"
                f" --columns {role}=COLUMN; the columns are {listed(table)}"
            )


def refuse_flat(
    table: Table,
    y: np.ndarray,
    measure: str,
    inputs: dict[str, np.ndarray],
    names: dict[str, str],
) -> None:
    """Raise UserError for a table without a curve: one row, no size, or nothing that varies."""
    if len(y) == 1:
        raise UserError(f"{table.name} has one row to fit, row {table.rows[0]}; a curve needs more")
    if not inputs:
        raise UserError(
            f"{table.name}: no column is called parameters, tokens, FLOPs or another size; name one"
            f" with --columns N=COLUMN, D=COLUMN or X=COLUMN; the columns are {listed(table)}"
        )
    if np.ptp(y) == 0:
        raise UserError(
            f"{table.name}, rows {table.rows[0]} to {table.rows[-1]}, column '{measure}': every row"
            f" has {y[0]:g}, so there is no curve"
        )
    if all(np.ptp(size) == 0 for size in inputs.values()):
        sizes = " and ".join(names[role] for role in inputs)
        raise UserError(f"{table.name}: {sizes} is the same in every row, so there is no curve")
