"""The next runs of a table lie on its grid and one step beyond, narrow what was asked for within
the budget, and are refused where nothing can be judged.

Run alone: python -m pytest tests/reports/suggest/test_table_runs.py
"""

import json
from functools import cache
from itertools import product

import numpy as np
import pytest

from harness.errors import UserError
from reports.suggest.surface_design import Surface, SurfaceDesign
from reports.suggest.table_runs import Runs, candidates, suggest_runs
from reports.suggest.table_words import in_json, in_words

SPREAD = 0.004
TRUE = Surface(1.69, 406.4, 410.7, 0.34, 0.28, SPREAD)
N, D = np.array(list(product(1e7 * 2.5 ** np.arange(5), 2e8 * 2.5 ** np.arange(5)))).T


def table(rows: int = 25, change: float = 1.0) -> dict[str, np.ndarray]:
    noise = SPREAD * np.random.default_rng(0).standard_normal(25)
    loss = np.exp(change * TRUE.log_loss(N, D) + noise)
    return {"params": N[:rows], "tokens": D[:rows], "loss": loss[:rows]}


@cache
def found(exponent: str) -> Runs:
    return suggest_runs(table(), exponent, 1e19)


def test_candidates_lie_between_the_tables_sizes_and_one_step_beyond():
    """100 and 10 000 have 1 000 between and 1 000 000 beyond; (100, 10) and its like are there."""
    n, d = np.array([100.0, 10000, 100, 10000]), np.array([10.0, 10, 1000, 1000])
    pairs = {tuple(pair) for pair in candidates(n, d)}
    every = set(product([100, 1000, 10000, 1000000], [10, 100, 1000, 100000]))
    assert pairs == every - set(zip(n, d, strict=True))


def test_a_table_by_budgets_gets_a_grid_of_equal_ratios():
    n = np.geomspace(1e7, 1e9, 30)
    pairs = candidates(n, 1e18 / n)
    assert len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1])) == 11
    assert pairs[:, 0].max() == pytest.approx(1e9 * 100 ** (1 / 9), rel=0.01)


@pytest.mark.slow
def test_runs_narrow_what_was_asked_for_within_the_budget():
    for exponent, true in {"alpha": 0.34, "beta": 0.28, "compute": 0.28 / 0.62}.items():
        own = found(exponent)
        assert own.estimate.value == pytest.approx(true, abs=1.5 * own.before)
        assert own.spread == pytest.approx(SPREAD, rel=0.25)
        assert own.flops <= own.budget
        assert [run.flops for run in own.runs] == [6 * run.N * run.D for run in own.runs]
        widths = [own.before, *(run.half_width for run in own.runs)]
        assert widths == sorted(widths, reverse=True) and widths[-1] < 0.8 * widths[0]
    assert found("alpha").runs != found("beta").runs


@pytest.mark.slow
def test_the_last_half_width_is_that_of_a_table_with_the_runs():
    own = found("compute")
    more = np.array([[run.N, run.D] for run in own.runs]).T
    longer = tuple(np.concatenate(pair) for pair in zip((N, D), more, strict=True))
    true = TRUE._replace(sigma=own.spread)
    design = SurfaceDesign.of(true, "compute", (longer[0], longer[1]), (N, D))
    assert design.half_width() == pytest.approx(own.runs[-1].half_width, rel=0.25)


@pytest.mark.slow
def test_the_words_and_the_json_hold_the_runs():
    own = found("beta")
    text, figures = in_words(own), json.loads(in_json(own))
    assert "No sweep file: unilaw cannot train a table's models." in text
    assert "N is 'params', D is 'tokens', the measure is 'loss'" in text
    assert f"{own.runs[0].N:.3g}" in text and "FLOPs, 6·N·D" in text
    assert [run["half_width_after"] for run in figures["runs"]] == [r.half_width for r in own.runs]
    assert figures["half_width_before"] == own.before and figures["sweep"] is None


def test_an_exponent_that_the_form_lacks_is_refused():
    with pytest.raises(UserError, match=r"alpha, beta, compute .*did you mean 'alpha'"):
        suggest_runs(table(), "alfa", 1e21)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "change", "budget", "words"),
    [
        (4, 1.0, 1e21, "in every row: the form chinchilla needs it to vary"),
        (7, 1.0, 1e21, "do not tell the parameters of .* apart"),
        (25, -1.0, 1e21, "'loss' does not fall with N"),
        (25, 1.0, 1e3, "1e[+]03 FLOPs are less than the cheapest run takes, 1.9e[+]16"),
    ],
)
def test_what_cannot_be_judged_is_refused(rows: int, change: float, budget: float, words: str):
    with pytest.raises(UserError, match=words):
        suggest_runs(table(rows, change), "alpha", budget)


@pytest.mark.parametrize("alpha", np.linspace(0.1, 0.9, 9))
def test_two_values_of_n_never_tell_three_parameters_apart(alpha: float):
    """E, A and α enter by two numbers; rounding must not make three of them."""
    n, d = np.repeat([1e7, 2.5e7], 6), np.tile(np.geomspace(2e8, 8e9, 6), 2)
    surface = TRUE._replace(alpha=alpha)
    design = SurfaceDesign.of(surface, "alpha", (n, d), (n, d))
    assert np.isinf(design.half_width())
    third = SurfaceDesign.of(surface, "alpha", (np.append(n, 1e8), np.append(d, 8e9)), (n, d))
    assert np.isfinite(third.half_width())


def test_fewer_points_than_parameters_are_refused():
    few = {name: values[[0, 6, 12, 18]] for name, values in table().items()}
    with pytest.raises(UserError, match="4 different points are too few for 5 parameters"):
        suggest_runs(few, "beta", 1e21)
