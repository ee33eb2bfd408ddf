"""The cells that a store could have next: those between its own and one rung beyond, in every
field that it varies.

    for move in moves(question): move.cells
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from harness.errors import UserError
from reports.evidence import MIN_SIZES
from reports.suggest.question import Question
from reports.suggest.surface_design import Surface

Config = dict[str, Any]
NEW_SIZES = MIN_SIZES + 1
"""Sizes of a new curve: the smallest that fits its data enters no fit (`reports.evidence`)."""
MOST_COUNTS = 10
"""Numbers of windows that are tried one by one. A ladder by budgets has another number in every
cell; there a geometric grid stands for them."""
NOT_VARIED = ("max_epochs", "lr", "batch_size", "search_seed")
"""Fields that say how to train: other values are another question."""


class Move(NamedTuple):
    """Cells that only count together: one of a curve that exists, or all those of a new curve.
    `task` and the configurations; `curve`: the rows' name of a curve that exists, or any other for
    a new one. `onset`: the first cell enters no fit."""

    task: str
    cells: tuple[Config, ...]
    curve: str
    onset: bool


def moves(question: Question) -> list[Move]:
    """Return the moves, each configuration in at most one."""
    configs = _configs(question.all_rows)
    task = str(question.all_rows["task"].iloc[0])
    ladder = isinstance(question.fit, Surface)
    found = _of_ladder(task, configs) if ladder else _of_curves(question, task)
    seen = {_key(config) for config in configs}
    kept = []
    for move in found:
        keys = {_key(config) for config in move.cells}
        if not keys & seen:
            kept.append(move)
            seen |= keys
    return kept


def grid_field(question: Question) -> str:
    """Return the field that a sweep of these moves varies within one entry."""
    return "n" if isinstance(question.fit, Surface) else _size_field(question)


def _size_field(question: Question) -> str:
    """Return the numeric field in which the fitted cells of each curve differ; the one of most
    values where curves differ in several. Raise UserError where there is none, and where one curve
    varies several fields at once."""
    counts: dict[str, int] = {}
    for _, own in question.rows.groupby("curve"):
        configs = _configs(own)
        differing = _differing(configs)
        if len(differing) > 1:
            raise UserError(
                f"--narrow '{question.exponent}': a next size changes one field, and the cells of a"
                f" curve differ in {len(differing)}: {', '.join(differing)}"
            )
        for name in _varied(configs):
            counts[name] = max(counts.get(name, 0), len({config[name] for config in configs}))
    if not counts:
        raise UserError(
            f"--narrow '{question.exponent}': the cells of its curves differ in no field of whole"
            " numbers, so there is no next size"
        )
    return max(counts, key=lambda name: (counts[name], name))


def _of_curves(question: Question, task: str) -> list[Move]:
    size = _size_field(question)
    curves: dict[str, list[Config]] = {}
    settings = []
    for curve, rows in question.rows.groupby("curve"):
        configs = _configs(rows)
        if size in _varied(configs):
            curves[str(curve)] = sorted(configs, key=lambda config: config[size])
            settings.append(json.loads(rows["settings_json"].iloc[0]))

    found = []
    for curve, own in curves.items():
        for value in steps([config[size] for config in own]):
            found.append(Move(task, ({**own[-1], size: value},), curve, False))

    for field in _varied(settings):  # another value of a field of size is no new curve
        if field in NOT_VARIED:
            continue
        values = [config[field] for own in curves.values() for config in own[:1]]
        for value in steps(values):
            for own in curves.values():
                if own[0][field] == _nearest(value, values):
                    found.append(_new_curve(task, own, field, value, size))
    return [move for move in found if not move.onset or len(move.cells) == NEW_SIZES]


def _new_curve(task: str, own: Sequence[Config], field: str, value: int, size: str) -> Move:
    """Return a curve at another value of a field, with sizes of a curve that exists, in proportion
    to the value: the onset moves with n."""
    factor = max(1.0, value / own[0][field])
    sizes = sorted({round(config[size] * factor) for config in own})
    fewer = max(1, round(sizes[0] ** 2 / sizes[1]))
    chosen = [fewer, sizes[0], sizes[-2], sizes[-1]]
    cells = tuple({**own[0], field: value, size: k} for k in sorted(set(chosen)))
    return Move(task, cells, _key(_without(cells[0], size)), True)


def _of_ladder(task: str, configs: Sequence[Config]) -> list[Move]:
    """Return single runs: every model at every number of windows, and models of widths (of depths,
    where depth sets the width) in between and one rung beyond."""
    shapes = {_key(_without(config, "n")): _without(config, "n") for config in configs}
    dial = "width" if all("width" in shape for shape in shapes.values()) else "depth"
    by_dial = sorted(
        (shape for shape in shapes.values() if dial in shape),
        key=lambda shape: (shape[dial], shape.get("depth", 1)),
    )
    models = list(shapes.values())
    for value in steps([shape[dial] for shape in by_dial]):
        larger = next((s for s in by_dial if s[dial] >= value), by_dial[-1])
        heads = larger.get("heads", 1) if dial == "width" else 1  # heads divide the width
        models.append({**larger, dial: max(heads, round(value / heads) * heads)})

    counts = sorted({config["n"] for config in configs})
    windows = sorted({*counts, *steps(counts)})
    if len(counts) > MOST_COUNTS:
        beyond = counts[-1] * (counts[-1] / counts[0]) ** (1 / MOST_COUNTS)
        windows = sorted({round(n) for n in np.geomspace(counts[0], beyond, MOST_COUNTS + 2)})
    return [
        Move(task, ({**model, "n": count},), "", False) for model in models for count in windows
    ]


def steps(values: Iterable[float]) -> list[int]:
    """Return the whole numbers between the values, on a logarithmic scale, and one rung beyond the
    largest."""
    own = sorted(set(values))
    if len(own) < 2:
        return []
    between = [round((a * b) ** 0.5) for a, b in zip(own, own[1:], strict=False)]
    beyond = round(own[-1] ** 2 / own[-2])
    return [value for value in dict.fromkeys([*between, beyond]) if value not in own]


def _nearest(value: float, values: Sequence[float]) -> float:
    """Return the smallest of the values that is at least `value`, or the largest."""
    above = [other for other in values if other >= value]
    return min(above) if above else max(values)


def _configs(rows: pd.DataFrame) -> list[Config]:
    return [json.loads(text) for text in rows["config_json"].unique()]


def _differing(configs: Sequence[Config]) -> list[str]:
    """Return the fields that have several values."""
    names = {name for config in configs for name in config}
    return sorted(
        name for name in names if len({json.dumps(config.get(name)) for config in configs}) > 1
    )


def _varied(configs: Sequence[Config]) -> list[str]:
    """Return the fields of whole numbers that have several values."""
    return [
        name
        for name in _differing(configs)
        if all(type(config.get(name)) is int for config in configs)
    ]


def _without(config: Config, field: str) -> Config:
    return {name: value for name, value in config.items() if name != field}


def _key(config: Config) -> str:
    return json.dumps(config, sort_keys=True)
