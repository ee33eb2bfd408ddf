"""The section "Slopes over recipes": each recipe's slope on both sides of a planted knee, and the
exponents of context and d_in, known beforehand.

Run alone: python -m pytest tests/reports/sections/test_recipes.py
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.evidence import Evidence, read_evidence
from reports.fits.parts_of_d import fit_parts
from reports.law import fit_all
from reports.measures import STABILITY
from reports.recipes import sided_slopes
from reports.sections.recipes import section
from reports.sections.section import Section
from tests.reports.language_rows import text_row
from tests.reports.page_reader import Page
from tests.reports.stores import make_store

SIZES = tuple(int(100 * 2**i) for i in range(8))
COMBINATIONS = tuple(itertools.product((50, 100), (8, 16), (4, 8)))
"""n, context, d_in."""
KNEE = 0.4
BELOW, ABOVE = {0.001: 0.3, 0.003: 0.2}, {0.001: -0.1, 0.003: -0.2}


def rows_of(value: Any, noise: float = 0.0) -> list[dict[str, Any]]:
    """Return rows of every rate, combination and size, whose stability `value` gives."""
    rng = np.random.default_rng(0)
    return [
        text_row(
            p,
            n=n,
            d=context * d_in,
            stability=value(lr, p, n, context, d_in) * float(np.exp(noise * rng.normal())),
            settings={"lr": lr, "context": context, "d_in": d_in},
        )
        for lr in BELOW
        for n, context, d_in in COMBINATIONS
        for p in SIZES
    ]


def bent(lr: float, p: int, n: int, context: int, d_in: int) -> float:
    z = np.log(p / (n * context * d_in) / KNEE)
    return 0.1 * float(np.exp(BELOW[lr] * min(z, 0) + ABOVE[lr] * max(z, 0)))


def of_parts(lr: float, p: int, n: int, context: int, d_in: int) -> float:
    return 0.01 * p**0.2 * n**-0.3 * context**-0.1 * d_in**-0.2


@pytest.fixture(scope="module")
def bent_evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("recipes") / "store"
    return read_evidence(make_store(folder, rows_of(bent, noise=0.01)))


@pytest.fixture(scope="module")
def made(bent_evidence: Evidence) -> Section:
    found = section(bent_evidence, fit_all(bent_evidence.trials))
    assert found is not None
    return found


@pytest.mark.slow
def test_sides_have_the_slopes_that_were_planted(bent_evidence: Evidence):
    found = sided_slopes(bent_evidence.trials, STABILITY, KNEE)
    assert len(found) == len(BELOW)
    for (recipe, sides), lr in zip(found.items(), BELOW, strict=True):
        assert recipe == f"learning rate {lr:g}"
        assert sides.below.slope == pytest.approx(BELOW[lr], abs=0.02)
        assert sides.above.slope == pytest.approx(ABOVE[lr], abs=0.02)
        assert sides.above.slope < sides.whole.slope < sides.below.slope


@pytest.mark.slow
def test_the_page_states_the_range_and_the_sides(made: Section):
    text = " ".join(" ".join(Page(str(made.html)).text).split())
    assert "over 2 recipes (learning rate 0.001 to 0.003)." in text
    assert "the knee counts by the rule of the law's chapter" in text

    values = {number.key.partition("resampled:")[2]: number.value for number in made.numbers}
    assert values["place"] == pytest.approx(KNEE, rel=0.3)
    for lr in BELOW:
        assert values[f"learning rate {lr:g}:below:slope"] == pytest.approx(BELOW[lr], abs=0.04)
        assert values[f"learning rate {lr:g}:above:slope"] == pytest.approx(ABOVE[lr], abs=0.04)
    whole = [values[f"learning rate {lr:g}:whole:slope"] for lr in BELOW]
    assert (values["least"], values["most"]) == (min(whole), max(whole))


@pytest.mark.slow
def test_exponents_of_n_context_and_d_in_are_told_apart(tmp_path: Path):
    evidence = read_evidence(make_store(tmp_path / "store", rows_of(of_parts, noise=0.01)))
    of_rate = evidence.trials["settings_json"].str.contains('"lr": 0.001')
    found = fit_parts(evidence.trials[of_rate], STABILITY)
    assert found is not None and not found.failure and found.curves == len(COMBINATIONS)
    assert found.b == pytest.approx(0.2, abs=0.01)
    assert found.ratios == pytest.approx({"n": 1.5, "context": 0.5, "d_in": 1.0}, abs=0.1)
    for part, truth in (("n", 0.1), ("context", -0.1), ("d_in", 0.0)):
        value, low, high = found.differences[part]
        assert low < truth < high and high - low < 0.1
        assert value == pytest.approx(truth, abs=0.02)


@pytest.mark.slow
def test_few_combinations_have_exponents_without_intervals(bent_evidence: Evidence):
    trials = bent_evidence.trials
    crossed = [(50, 8, 4), (50, 16, 8), (100, 8, 8), (100, 16, 4)]
    at = [n * 10_000 + d for n, _, d in ((n, c, c * i) for n, c, i in crossed)]
    few = trials[(trials["n"] * 10_000 + trials["d_ambient"]).isin(at)]
    found = fit_parts(few[few["settings_json"].str.contains('"lr": 0.003')], STABILITY)
    assert found is not None and found.ratios and not found.differences
    assert "combinations are too few for an interval" in found.failure


@pytest.mark.slow
def test_without_two_recipes_or_parts_there_is_no_section(tmp_path: Path):
    one = [text_row(p, n=n, settings={"lr": 0.001}) for n in (50, 100, 200) for p in SIZES]
    evidence = read_evidence(make_store(tmp_path / "store", one))
    assert section(evidence, fit_all(evidence.trials)) is None
