"""A table as arrays: what forms are fitted to.

    points = Points({"N": n, "D": d}, loss, cluster=model)
    points.cells, points.units

Rows of equal inputs share a cell; rows of one cluster, a unit.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from harness.errors import UserError

LOGARITHMIC = ("N", "D", "U", "X")
"""Roles that count by ratio, and must therefore be above 0. The role L, a loss that is an input,
counts by difference."""


@dataclass(frozen=True)
class Points:
    """K rows: the inputs by role, the measure y and what rows share.

    Roles: N parameters, D tokens, U distinct tokens, X any one size, L a loss as input. cluster: a
    label of any type for rows that are not independent, such as those of one model. names: role →
    the column's name as the user knows it, Y for the measure's. alternatives: role → the same
    input by another convention, such as N without embeddings. Raises UserError for lengths that
    differ, values that are not finite, and sizes that are not above 0.
    """

    inputs: dict[str, np.ndarray]
    y: np.ndarray
    cluster: np.ndarray | None = None
    names: dict[str, str] = field(default_factory=dict)
    alternatives: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = {**self.inputs, "Y": self.y}
        for role, values in columns.items():
            name = self.name(role)
            if len(values) != len(self.y):
                raise UserError(f"{name} has {len(values)} rows and {self.name('Y')} {len(self.y)}")
            if not np.isfinite(values).all():
                row = int(np.argmin(np.isfinite(values)))
                raise UserError(f"{name} is {values[row]} in row {row + 1}: it must be a number")
            if role in LOGARITHMIC and len(values) and min(values) <= 0:
                row = int(np.argmin(values))
                raise UserError(f"{name} is {values[row]:g} in row {row + 1}: it must be above 0")

    def name(self, role: str) -> str:
        """Return the user's name of a role's column."""
        return self.names.get(role, {"Y": "the measure"}.get(role, role))

    def subset(self, which: np.ndarray) -> "Points":
        """Return the rows that `which`, a mask or indices, selects."""
        return Points(
            {role: values[which] for role, values in self.inputs.items()},
            self.y[which],
            None if self.cluster is None else self.cluster[which],
            self.names,
            {role: values[which] for role, values in self.alternatives.items()},
        )

    def of(self, roles: Collection[str]) -> "Points":
        """Return the same rows with the inputs of these roles alone."""
        return replace(self, inputs={r: v for r, v in self.inputs.items() if r in roles})

    @cached_property
    def cells(self) -> np.ndarray:
        """Return the number of each row's cell, (K,): rows of equal inputs share one."""
        table = np.column_stack(list(self.inputs.values()))
        return np.unique(table, axis=0, return_inverse=True)[1].ravel()

    @cached_property
    def units(self) -> np.ndarray:
        """Return the number of each row's cluster, (K,); of its cell where there is no cluster.
        Units are what is independent of one another."""
        if self.cluster is None:
            return self.cells
        return np.unique(np.asarray(self.cluster).astype(str), return_inverse=True)[1].ravel()
