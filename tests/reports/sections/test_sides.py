"""Slopes on both sides of a place: of S by recipe, of the training radius, and of the most robust
fits beside plain training, in a store that holds all of these on the same cells.

Run alone: python -m pytest tests/reports/sections/test_sides.py
"""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.task.recipe import RECIPE
from reports.charts.chart import TICK
from reports.evidence import Evidence, read_evidence
from reports.frontier import NOT_OF_CELL, radii
from reports.law import Fits, fit_evidence
from reports.sections import all_sections
from reports.sections.quantities import measured
from reports.sections.recipes import section
from reports.sections.section import Section
from reports.sections.slopes import slopes_chart
from reports.sides import AT_LAW, place_of
from tests.reports.language_rows import text_row
from tests.reports.page_reader import Page
from tests.reports.stores import make_store

COMBINATIONS = tuple(itertools.product((200, 800), (8, 16), (4, 64)))
"""n, context, d_in."""
SIZES = tuple(int(2000 * 2.5**i) for i in range(9))
RATES: tuple[dict[str, Any], ...] = ({"lr": 0.001}, {"lr": 0.003}, {"lr": 0.009})
DECAYS: tuple[dict[str, Any], ...] = tuple(
    {"lr": 0.003, "optimiser": "adamw", "weight_decay": decay} for decay in (0.1, 1.0)
)
RECIPES = RATES + DECAYS
TRAINED = {"rate_width": 32, "check_every": 2}
"""How plain training went beside its recipe: no part of a cell."""
KNEE = 3.0

Sides = tuple[float, float]
"""The slope below the knee and the slope above it."""
BENT: tuple[Sides, ...] = ((0.3, -0.1), (0.25, -0.12), (0.2, -0.15), (0.28, -0.1), (0.26, -0.05))
STRAIGHT: tuple[Sides, ...] = tuple((b, b) for b in (0.15, 0.1, 0.02, 0.12, 0.08))
RADIUS: Sides = (0.2, 0.05)
SEARCH: Sides = (0.5, 0.1)


def value(p: int, nd: int, slopes: Sides, rng: np.random.Generator) -> float:
    z = float(np.log(p / nd / KNEE))
    return float(np.exp(slopes[0] * min(z, 0) + slopes[1] * max(z, 0) + 0.01 * rng.normal()))


def a_row(p: int, n: int, context: int, d_in: int, fields: dict[str, Any], **changes: Any):
    settings = {"n": n, "context": context, "d_in": d_in, **fields}
    return text_row(
        p,
        n=n,
        d=context * d_in,
        settings=settings,
        settings_json=json.dumps(settings),
        config_json=json.dumps({**settings, "width": p}),
        **changes,
    )


def mixed(sides: tuple[Sides, ...], searched: bool = True) -> list[dict[str, Any]]:
    """Return rows of every recipe at the noise stop, of copies that are fitted to the last label,
    and of searches on the same cells."""
    rng = np.random.default_rng(0)
    rows = []
    for (n, context, d_in), p in itertools.product(COMBINATIONS, SIZES):
        cell, nd = (p, n, context, d_in), n * context * d_in
        for recipe, slopes in zip(RECIPES, sides, strict=False):
            s = 0.1 * value(p, nd, slopes, rng)
            rows.append(a_row(*cell, {**recipe, **TRAINED}, stability=s))
        if not searched:
            continue
        fields = {"lr": 0.003, "stop": "interpolate", **TRAINED}
        radius = 0.05 * value(p, nd, RADIUS, rng)
        past = {"stop_rule": "interpolate", "stop_reason": "interpolated"}
        rows.append(a_row(*cell, fields, stability=0.1, training_radius=radius, **past))
        fields = {"lr": 0.003, "stop": "epochs", "frontier": "adversary", "batch_size": 4096}
        found = 0.5 * value(p, nd, SEARCH, rng)
        rows.append(
            a_row(
                *cell,
                fields,
                stability=0.1,
                stop_rule="epochs",
                stop_reason="epoch_cap",
                frontier_radius=found,
                frontier_radius_missed=1.05 * found,
                frontier_trainings=5,
                frontier_trap=False,
                radius_ceiling=100.0,
            )
        )
    return rows


def made_of(folder: Path, rows: list[dict[str, Any]]) -> tuple[Evidence, Fits]:
    evidence = read_evidence(make_store(folder / "store", rows))
    return evidence, fit_evidence(evidence)


@pytest.fixture(scope="module")
def bent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, Fits]:
    return made_of(tmp_path_factory.mktemp("bent"), mixed(BENT))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, Fits]:
    return made_of(tmp_path_factory.mktemp("straight"), mixed(STRAIGHT, searched=False))


def shown(of: tuple[Evidence, Fits]) -> tuple[Section, str, dict[str, float]]:
    made = section(*of)
    assert made is not None
    text = " ".join(" ".join(Page(str(made.html)).text).split())
    return made, text, {number.key: number.value for number in made.numbers}


def test_how_plain_training_went_is_no_part_of_a_frontiers_cell(bent: tuple[Evidence, Fits]):
    assert set(RECIPE) <= set(NOT_OF_CELL) >= {"lr", "rate_width", "check_every", "batch_size"}
    found = radii(bent[0])
    assert len(found) == len(COMBINATIONS) * len(SIZES)
    assert found["plain"].gt(0).all(), "every search has the plain training of its cell"


@pytest.mark.slow
def test_each_quantity_has_its_slopes_on_both_sides_of_a_knee_that_counts(
    bent: tuple[Evidence, Fits],
):
    _, text, values = shown(bent)
    assert "the knee counts by the rule of the law's chapter" in text
    assert "fixed beforehand" not in text
    kind = "recipe:gpt, 256 classes, 30 % resampled"
    assert values[f"{kind}:place"] == pytest.approx(KNEE, rel=0.2)
    low, place, high = (values[f"{kind}:place{end}"] for end in (" low", "", " high"))
    assert 0 < low <= place <= high

    of_s = [key for key in values if key.startswith(f"{kind}:learning") and key.endswith("slope")]
    assert len(of_s) == 3 * len(RECIPES), "a line for each rate and each weight decay"
    for recipe, (below, above) in zip(RATES, BENT, strict=False):
        name = f"{kind}:learning rate {recipe['lr']:g}, falling like 1/width from width 32"
        assert values[f"{name}:below:slope"] == pytest.approx(below, abs=0.03)
        assert values[f"{name}:above:slope"] == pytest.approx(above, abs=0.03)

    (below,) = (v for k, v in values.items() if k.endswith("training radius:below:slope"))
    (above,) = (v for k, v in values.items() if k.endswith("training radius:above:slope"))
    assert "interpolated" in next(k for k in values if "training radius:below" in k)
    assert (below, above) == pytest.approx(RADIUS, abs=0.02)


@pytest.mark.slow
def test_the_searches_stand_beside_plain_training_on_their_cells(bent: tuple[Evidence, Fits]):
    _, text, values = shown(bent)
    assert "most robust fits found" in text and "Plain training reaches" in text
    kind = "recipe:gpt, 256 classes, 30 % resampled:"
    assert values[f"{kind}r*:place"] == values[f"{kind}place"], "parted where plain training is"
    for name, (below, above) in (("r*", SEARCH), ("plain training", RADIUS)):
        assert values[f"{kind}:{name}:below:slope"] == pytest.approx(below, abs=0.03)
        assert values[f"{kind}:{name}:above:slope"] == pytest.approx(above, abs=0.03)
    (share,) = (value for key, value in values.items() if key.endswith(":plain"))
    assert 0 < share < 1


@pytest.mark.slow
def test_without_a_knee_the_sides_are_parted_at_n_times_d(straight: tuple[Evidence, Fits]):
    _, text, values = shown(straight)
    (fit,) = straight[1].kinds
    assert place_of(fit) == AT_LAW
    assert "No knee is claimed, so the sides are parted at p = n·d, fixed beforehand." in text
    assert "knee counts" not in text and "most robust" not in text
    assert f"over {len(RECIPES)} recipes" in text
    least, most = (values[f"recipe:{fit.kind}:{end}"] for end in ("least", "most"))
    assert (least, most) == pytest.approx((0.02, 0.15), abs=0.01)


@pytest.mark.slow
def test_the_forest_has_a_mark_for_each_recipe(straight: tuple[Evidence, Fits]):
    evidence, fits = straight
    chart = slopes_chart(evidence, fits, measured(evidence, fits))
    assert chart is not None
    (ticks,) = (marks for marks in chart.drawings[0].marks if marks.shape == TICK)
    assert sorted(ticks.x) == pytest.approx(sorted(slope for slope, _ in STRAIGHT), abs=0.01)


@pytest.mark.slow
def test_a_measure_that_never_moves_has_no_ratios_of_exponents(bent: tuple[Evidence, Fits]):
    """S of the interpolated copies is the same everywhere."""
    (still,) = (test.collapse for test in bent[1].collapses if "interpolated" in test.kind)
    assert still.b == 0 and np.isnan(still.ratio_n) and np.isnan(still.ratio_d)


@pytest.mark.slow
def test_the_whole_page_is_made_of_such_a_store(bent: tuple[Evidence, Fits]):
    sections = {own.key: own for own in all_sections(*bent)}
    assert {"answer", "frontier", "law", "recipes", "collapse", "trials"} <= set(sections)
