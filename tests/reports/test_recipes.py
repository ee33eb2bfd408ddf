"""Slopes by recipe, their words, and the uncertainty budget that they enter.

Run alone: python -m pytest tests/reports/test_recipes.py
"""

import numpy as np
import pandas as pd
import pytest

from reports.budget import budget
from reports.fits.slope import fit_slope
from reports.measures import STABILITY
from reports.recipes import in_words, recipe_of, recipe_slopes
from tests.reports.stores import power_law


def frame(rows):
    t = pd.DataFrame(rows)
    return t.assign(curve=t["settings_json"], cell=t["settings_json"] + t["p"].astype(str))


def of_rate(lr, b, **grid):
    return power_law(
        b, ns=(100, 200, 400), changes={"settings": {"lr": lr}, "stability_attack_se": 0.0}, **grid
    )


def test_a_recipe_is_named_by_what_it_has():
    assert recipe_of('{"width": 3}') == ""
    assert recipe_of('{"lr": 0.001, "batch_size": 64}') == "learning rate 0.001, batch size 64"
    words = in_words(["learning rate 0.001, batch size 64", "learning rate 0.0003, batch size 64"])
    assert words == "learning rate 0.0003 to 0.001, batch size 64"


def test_each_recipe_has_its_own_slope():
    found = recipe_slopes(frame(of_rate(3e-4, 0.2) + of_rate(3e-3, 0.02)), STABILITY)
    assert [s.slope for s in found.values()] == pytest.approx([0.2, 0.02])


def test_recipes_of_two_curves_take_the_spread_of_all_recipes():
    rows = [
        row
        for i, lr in enumerate((3e-4, 1e-3, 3e-3, 1e-2))
        for row in power_law(
            0.1 * i, ns=(100, 200), spread=0.02, seed=i, changes={"settings": {"lr": lr}}
        )
    ]
    found = recipe_slopes(frame(rows), STABILITY)
    assert [s.slope for s in found.values()] == pytest.approx([0.0, 0.1, 0.2, 0.3], abs=0.03)
    assert all(s.pooled and s.freedom == 4 for s in found.values())
    assert not recipe_slopes(frame(rows[: len(rows) // 2]), STABILITY), "four curves are too few"


def parts_of(rows, error=0.05, filtered=()):
    parts = budget(rows, error, [fit_slope(rows, STABILITY), *filtered], STABILITY)
    return {part.name: part for part in parts}


def test_the_budget_names_what_it_cannot_tell():
    parts = parts_of(frame(of_rate(1e-3, 0.2)))
    missing = ("recipe", "filter", "search gap", "attack gap")
    assert all(parts[name].sd is None and parts[name].share is None for name in missing)


def test_the_budget_by_hand():
    """The slope's variance from seeds is σ²/Σdx² per trial; two recipes differ by .18/√2."""
    rows = frame(of_rate(3e-4, 0.2, spread=0.1, seeds=40) + of_rate(3e-3, 0.02, seeds=40))
    x = rows["p"].astype(float).map(np.log)
    sum_dx2 = float(((x - x.groupby(rows["curve"]).transform("mean")) ** 2).sum())
    parts = parts_of(rows)
    # half of the trials have no spread
    assert parts["seeds"].sd == pytest.approx(0.1 * np.sqrt(0.5 / sum_dx2), rel=0.1)
    assert parts["points"].sd == 0
    assert parts["recipe"].sd == pytest.approx(0.18 / np.sqrt(2), rel=0.05)
    assert sum(p.share for p in parts.values() if p.share is not None) == pytest.approx(1)


def test_the_spread_over_points_is_taken_out_of_that_over_seeds():
    rows = frame(of_rate(1e-3, 0.2, spread=0.1, seeds=40))
    rows["stability_attack_se"] = 0.1 * rows[STABILITY]
    parts = parts_of(rows)
    seeds, points = parts["seeds"].sd, parts["points"].sd
    assert seeds is not None and points is not None and seeds < 0.5 * points


def test_a_recipe_may_have_words():
    config = '{"lr": 0.01, "optimiser": "sgd", "momentum": 0.9, "rate_width": 32}'
    sgd = "learning rate 0.01, falling like 1/width from width 32, optimiser sgd, momentum 0.9"
    assert recipe_of(config) == sgd
    found = in_words([sgd, "learning rate 0.001, optimiser adamw, weight decay 0.1"])
    assert found.startswith("learning rate 0.001 to 0.01, falling like 1/width from width 32,")
    assert "optimiser adamw or sgd" in found
