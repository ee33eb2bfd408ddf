"""What changed between two stores: planted changes are found, and noise alone is called noise
(how often: `python -m tests.benchmarks.comparison`).

Run alone: python -m pytest tests/reports/test_comparison.py
"""

import json
from pathlib import Path

import numpy as np
import pytest

from harness.errors import UserError
from reports.command import make_report
from reports.comparison import (
    Comparison,
    _logs,
    _spread_within,
    cell_changes,
    constant_changes,
    slope_change,
    with_interval,
)
from reports.formats.figures import comparison_figures
from reports.formats.words import change_blocks
from reports.frontier import radii
from reports.measures import STABILITY
from tests.reports.page_reader import Page
from tests.reports.planted_changes import CURVES, SIZES, changes, drawn, slope_of, true_slopes
from tests.reports.planted_frontiers import TRUTHS, Truth, planted, shapes
from tests.reports.stores import make_store, power_law


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_noise_alone_is_not_beyond_noise(rng: np.random.Generator):
    slopes = true_slopes(rng)
    slope, cells = changes(drawn(rng, slopes), drawn(rng, slopes))
    assert not slope.beyond and slope.low < 0 < slope.high
    assert len(cells) == CURVES * len(SIZES) and not any(cell.beyond for cell in cells)


def test_a_steeper_slope_is_found(rng: np.random.Generator):
    slopes = true_slopes(rng)
    slope, _ = changes(drawn(rng, slopes), drawn(rng, slopes + 0.15))
    assert slope.beyond and slope.low < 0.15 < slope.high
    assert slope.basis == f"{CURVES} curves that both stores have"


def test_other_curves_are_compared_by_their_mean_slopes(rng: np.random.Generator):
    """The curves' own slopes count as noise, so the interval is wider."""
    first = drawn(rng, true_slopes(rng))
    second = drawn(rng, true_slopes(rng, 0.9), curves="other")
    slope, cells = changes(first, second)
    assert slope.beyond and slope.low < 0.7 < slope.high and not cells
    a, b = slope_of(first), slope_of(second)
    assert slope.error == pytest.approx(np.hypot(a.error, b.error))
    assert slope.error > slope_change("kind", STABILITY, a, slope_of(first)).error


def test_one_cell_that_changed_is_found_and_no_other(rng: np.random.Generator):
    slopes = true_slopes(rng)
    changed = "curve 2 p=800"
    _, cells = changes(drawn(rng, slopes), drawn(rng, slopes, {changed: 2.0}))
    (found,) = [cell for cell in cells if cell.beyond]
    assert found.what == changed and found.low < np.log(2) < found.high


def test_the_same_rows_are_the_same(rng: np.random.Generator):
    rows = drawn(rng, true_slopes(rng))
    assert cell_changes(rows, rows.sample(frac=1, random_state=0)) == ([], CURVES * len(SIZES))


def test_one_seed_a_cell_decides_nothing(rng: np.random.Generator):
    slopes = true_slopes(rng)
    _, cells = changes(drawn(rng, slopes, seeds=1), drawn(rng, slopes, {}, seeds=1))
    assert cells and all(cell.failure and not cell.beyond for cell in cells)


def test_seeds_that_move_whole_curves_say_less_about_noise(rng: np.random.Generator):
    """A seed's deviation that a curve's cells share is one draw, however many cells there are."""
    apart = drawn(rng, true_slopes(rng))
    seeds = apart["curve"] + apart["seed"].astype(str)
    shared = dict(zip(sorted(set(seeds)), 0.1 * rng.standard_normal(CURVES * 3), strict=True))
    level = apart.groupby("cell")[STABILITY].transform("mean")
    together = apart.assign(**{STABILITY: level * np.exp(seeds.map(shared))})

    cells = CURVES * len(SIZES)
    for rows, least, most in ((apart, cells, 2 * cells), (together, 6, 2 * CURVES + 1e-6)):
        ((_, freedom),) = _spread_within(_logs(rows, STABILITY)).values()
        assert least < freedom <= most


@pytest.mark.slow
def test_a_constant_of_the_frontier_is_compared_over_curves(rng: np.random.Generator):
    law = TRUTHS["law"]
    higher = Truth(lambda p, n, d: 1.2 * law.radius(p, n, d), law.verdict)
    first = radii(planted(law, rng))
    for truth, moved in ((law, False), (higher, True)):
        (change,) = constant_changes(first, radii(planted(truth, rng)))
        assert with_interval(change, 1).beyond == moved
        assert change.basis.endswith("curves that both stores have")


@pytest.mark.slow
def test_frontiers_of_other_curves_have_no_constant_to_compare(rng: np.random.Generator):
    small, large = (
        radii(planted(TRUTHS["law"], rng, [own for own in shapes() if own.n == n]))
        for n in (256, 1024)
    )
    assert not small.empty and not large.empty and constant_changes(small, large) == []


# The command


@pytest.mark.slow
def test_the_report_says_what_changed(tmp_path: Path):
    """The second store has the same curves, and a slope that is steeper by 0.3."""
    stores = [
        str(make_store(tmp_path / name, power_law(b, spread=0.05, seed=k, ns=(100, 200, 400))))
        for k, (name, b) in enumerate((("before", 0.1), ("after", 0.4)))
    ]
    make_report(stores, tmp_path / "page.html", comparing=True)
    page = Page((tmp_path / "page.html").read_text())
    assert "What changed from before to after" in page.prose()
    assert "beyond noise" in page.prose()

    stated = {key: entry["value"] for key, entry in page.ledger().items()}
    low = stated[f"compare:{STABILITY}:sphere, ±1 target, pure noise:low"]
    assert low > 0 and stated["compare:figures"] >= 2 and stated["compare:changed"] > 10


@pytest.mark.slow
def test_markdown_and_json_say_it_too(rng: np.random.Generator):
    slopes = true_slopes(rng)
    first, second = drawn(rng, slopes), drawn(rng, slopes + 0.3)
    slope, cells = changes(first, second)
    found = Comparison(("a|b", "c"), [slope], [], cells, 3, (["only here"], []))
    text = "\n".join(change_blocks(found))
    assert "## What changed from a\\|b to c" in text and "| beyond noise |" in text

    kept = comparison_figures(found)
    assert kept["stores"] == ("a|b", "c") and kept["slopes"][0]["beyond_noise"]
    assert kept["slopes"][0]["apart"] == slope.apart and kept["same_cells"] == 3
    json.dumps(kept, allow_nan=False)


@pytest.mark.parametrize(
    ("stores", "format", "words"),
    [
        (["one"], "html", "--compare needs two stores, not 1"),
        (["one", "two", "three"], "html", "--compare needs two stores, not 3"),
        (["one", "two"], "csv", "--compare and --format csv do not go together"),
    ],
)
def test_what_cannot_be_compared_is_refused(stores: list[str], format: str, words: str):
    with pytest.raises(UserError, match=words):
        make_report(stores, format=format, comparing=True)
