"""The cells that a store could have next: those between its own and one rung beyond, in every
field that it varies.

    for move in moves(question): move.cells
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.errors import UserError
from reports.evidence import MIN_SIZES
from reports.frontier_answer import FrontierFit
from reports.suggest.frontier_design import CONSTANT, OF_D
from reports.suggest.grid import (
    Config,
    configs_of,
    differing,
    key_of,
    nearest,
    steps,
    varied,
    without,
)
from reports.suggest.question import Question, quantity_of
from reports.suggest.surface_design import Surface

NEW_SIZES = MIN_SIZES + 1
"""Sizes of a new curve: the smallest that fits its data enters no fit (`reports.evidence`)."""
MOST_COUNTS = 10
"""Numbers of windows that are tried one by one. A ladder by budgets has another number in every
cell; there a geometric grid stands for them."""
NOT_VARIED = ("max_epochs", "lr", "batch_size", "search_seed")
"""Fields that say how to train: other values are another question."""


class Move(NamedTuple):
    """Cells that only count together: one of a curve that exists, or those of a new curve. `task`
    and the configurations; `curve`: the rows' name of a curve that exists, or any other for a new
    one. `onset`: the first cell enters no fit."""

    task: str
    cells: tuple[Config, ...]
    curve: str
    onset: bool


def moves(question: Question) -> list[Move]:
    """Return the moves, each configuration in at most one."""
    configs = configs_of(question.all_rows)
    task = str(question.all_rows["task"].iloc[0])
    ladder = isinstance(question.fit, Surface)
    found = _of_ladder(task, configs) if ladder else _of_curves(question, task)
    seen = {key_of(config) for config in configs}
    kept = []
    for move in found:
        keys = {key_of(config) for config in move.cells}
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
        configs = configs_of(own)
        fields = differing(configs)
        if len(fields) > 1:
            raise UserError(
                f"--narrow '{question.exponent}': a next size changes one field, and the cells of a"
                f" curve differ in {len(fields)}: {', '.join(fields)}"
            )
        for name in varied(configs):
            counts[name] = max(counts.get(name, 0), len({config[name] for config in configs}))
    if not counts:
        raise UserError(
            f"--narrow '{question.exponent}': the cells of its curves differ in no field of whole"
            " numbers, so there is no next size"
        )
    return max(counts, key=lambda name: (counts[name], name))


def _of_curves(question: Question, task: str) -> list[Move]:
    """Return further sizes of the curves, and further curves."""
    size = _size_field(question)
    curves: dict[str, list[Config]] = {}
    settings = []
    for curve, rows in question.rows.groupby("curve"):
        configs = configs_of(rows)
        if size in varied(configs):
            curves[str(curve)] = sorted(configs, key=lambda config: config[size])
            settings.append(json.loads(rows["settings_json"].iloc[0]))

    found = []
    for curve, own in curves.items():
        for value in steps([config[size] for config in own]):
            found.append(Move(task, ({**own[-1], size: value},), curve, False))

    if isinstance(question.fit, FrontierFit):
        return found + _new_searches(question.exponent, task, list(curves.values()), size)
    for field in varied(settings):  # another value of a field of size is no new curve
        if field in NOT_VARIED:
            continue
        values = [config[field] for own in curves.values() for config in own[:1]]
        for value in steps(values):
            for own in curves.values():
                if own[0][field] == nearest(value, values):
                    found += _new_curve(task, own, field, value, size)
    return found


def _new_curve(task: str, own: Sequence[Config], field: str, value: int, size: str) -> list[Move]:
    """Return a curve at another value of a field, with sizes of a curve that exists, in proportion
    to the value: the onset moves with n. Nothing where it would have too few sizes."""
    factor = max(1.0, value / own[0][field])
    sizes = sorted({round(config[size] * factor) for config in own})
    fewer = max(1, round(sizes[0] ** 2 / sizes[1]))
    chosen = [fewer, sizes[0], sizes[-2], sizes[-1]]
    cells = tuple({**own[0], field: value, size: k} for k in sorted(set(chosen)))
    if len(cells) < NEW_SIZES:
        return []
    return [Move(task, cells, key_of(without(cells[0], size)), True)]


def _new_searches(
    exponent: str, task: str, curves: Sequence[Sequence[Config]], size: str
) -> list[Move]:
    """Return searches at another value of one field of whole numbers, such as n or d, at about the
    p/n of the nearest curve that differs in that field alone.

    The exponent of d takes every cell by itself. The constant takes those from twice the onset's p
    on, so the two smallest come together. That of p takes curves over a decade, so all do.
    """
    found = []
    for field in varied([own[0] for own in curves]):
        if field in (size, "depth", *NOT_VARIED):
            continue
        alike: dict[str, dict[int, Sequence[Config]]] = {}
        for own in curves:
            rest = without(without(own[0], field), size)
            alike.setdefault(key_of(rest), {})[own[0][field]] = own
        for by_value in alike.values():
            for value in steps(by_value):
                own = by_value[nearest(value, by_value)]
                factor = value / own[0][field] if field == "n" else own[0][field] / value
                sizes = sorted({max(1, round(config[size] * factor)) for config in own})
                cells = [{**own[0], field: value, size: k} for k in sizes]
                together = {CONSTANT: 2, OF_D: 1}.get(quantity_of(exponent), len(cells))
                parts = [tuple(cells[:together]), *((cell,) for cell in cells[together:])]
                curve = key_of(without(cells[0], size))
                found += [Move(task, part, curve, False) for part in parts]
    return found


def _of_ladder(task: str, configs: Sequence[Config]) -> list[Move]:
    """Return single runs: every model at every number of windows, and models of widths (of depths,
    where depth sets the width) in between and one rung beyond."""
    shapes = {key_of(without(config, "n")): without(config, "n") for config in configs}
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
