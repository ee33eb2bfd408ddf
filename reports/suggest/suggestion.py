"""Choose the next trials for a question, once the engine has said what each move would cost.

found = suggest(question, costed, budget)
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.errors import UserError
from reports.fits.slope import Slope
from reports.frontier_answer import FrontierFit
from reports.suggest.choice import choose
from reports.suggest.expected_radii import ExpectedRadii, Searched
from reports.suggest.frontier_design import FrontierDesign
from reports.suggest.greedy import Design
from reports.suggest.moves import Move
from reports.suggest.question import Question, quantity_of
from reports.suggest.slope_design import Place, SlopeDesign
from reports.suggest.surface_design import Surface, SurfaceDesign


class Costed(NamedTuple):
    """A move with p, the tokens and the input dimension of each of its cells, and what all its
    trials cost."""

    move: Move
    sizes: tuple[int, ...]
    tokens: tuple[float, ...]
    dimensions: tuple[int, ...]
    cost: float


class Suggestion(NamedTuple):
    """The chosen moves in order, and the expected half-width before and after them."""

    chosen: list[Costed]
    before: float
    after: float
    cost: float


def suggest(
    question: Question, costed: Sequence[Costed], budget: float, seeds: int, unit: str
) -> Suggestion:
    """Return the choice. seeds: trials of each cell. Raise UserError where the budget pays for no
    move."""
    if not costed:
        raise UserError(
            f"--narrow '{question.exponent}': no cell lies between the store's own or one rung"
            " beyond them that its task allows"
        )
    cheapest = min(move.cost for move in costed)
    if budget < cheapest:
        raise UserError(
            f"--budget: {budget:.3g} {unit} is less than the cheapest move costs, {cheapest:.3g}"
            f" {unit}"
        )
    design = _design(question, costed, seeds)
    chosen, after = choose(design, [move.cost for move in costed], budget)
    return Suggestion(
        [costed[k] for k in chosen],
        design.half_width(),
        after.half_width(),
        sum(costed[k].cost for k in chosen),
    )


def _design(question: Question, costed: Sequence[Costed], seeds: int) -> Design:
    fit = question.fit
    if isinstance(fit, Slope):
        return _of_slope(question, fit, costed, seeds)
    if isinstance(fit, Surface):
        return _of_surface(question, fit, costed, seeds)
    return _of_frontier(question, fit, costed, seeds)


def _of_slope(
    question: Question, slope: Slope, costed: Sequence[Costed], seeds: int
) -> SlopeDesign:
    numbers: dict[str, int] = {}

    def number(curve: str) -> int:
        return numbers.setdefault(curve, len(numbers))

    places = []
    for (curve, _), own in question.rows.groupby(["curve", "p"]):
        places.append(Place(number(str(curve)), float(np.log(own["p"].iloc[0])), len(own)))
    moves = [
        [
            Place(number(own.move.curve), float(np.log(p)), seeds)
            for p in own.sizes[1 if own.move.onset else 0 :]
        ]
        for own in costed
    ]
    return SlopeDesign.of(places, slope.tau**2, slope.noise, moves)


def _of_surface(
    question: Question, surface: Surface, costed: Sequence[Costed], seeds: int
) -> SurfaceDesign:
    runs = tuple(question.rows[name].to_numpy(float) for name in ("p", "tokens_seen"))
    sizes = np.array([own.sizes[0] for own in costed], float)
    tokens = np.array([own.tokens[0] for own in costed])
    return SurfaceDesign.of(surface, question.exponent, runs, (sizes, tokens), seeds)


def _of_frontier(
    question: Question, fit: FrontierFit, costed: Sequence[Costed], seeds: int
) -> FrontierDesign:
    expected = ExpectedRadii.of(fit.rows)
    moves = []
    for own in costed:
        cells = [
            Searched(p, config["n"], d, config.get("depth", np.nan), own.move.curve)
            for p, d, config in zip(own.sizes, own.dimensions, own.move.cells, strict=True)
        ]
        moves.append(expected.rows(cells, seeds))
    return FrontierDesign.of(fit, quantity_of(question.exponent), moves)
