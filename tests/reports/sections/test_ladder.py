"""The section "Compute-optimal ladder": its numbers computed again by other code, its chart, and
when it is left out.

Run alone: python -m pytest tests/reports/sections/test_ladder.py
"""

import functools
import re
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from reports.charts.chart import DASHED, SOLID, STAR
from reports.evidence import read_evidence
from reports.fits.scaling import Interval
from reports.page import render
from reports.sections import ladder
from reports.sections.ladder import convention, ladders
from tests.reports.ladder_rows import OTHERS, TRUTH, made
from tests.reports.page_reader import Page, section_of
from tests.reports.reference_isoflop import Budget, best_sizes
from tests.reports.stores import failed, make_store


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = make_store(tmp_path_factory.mktemp("ladder") / "store", made() + OTHERS)
    return Page(render(read_evidence(folder))), pd.read_parquet(folder).set_index("trial_id")


def counted(rows: pd.DataFrame, key: str) -> np.ndarray:
    """Return N under the key's convention."""
    p = rows["p"].to_numpy(float)
    if "without embeddings" not in key:
        return p
    return p - np.array(
        [
            sum(g["trainable"] for g in groups if g["group"] in ("embedding", "position"))
            for groups in rows["params_by_group"]
        ]
    )


def sum_of_huber(v, n, d, loss):
    """Return the objective in the log parametrisation of Hoffmann et al.: v = e, a, b, α, β."""
    terms = np.stack([np.full(len(n), v[0]), v[1] - v[3] * np.log(n), v[2] - v[4] * np.log(d)])
    r = abs(np.logaddexp.reduce(terms) - np.log(loss))
    return float(np.where(r <= 1e-3, r * r / 2, 1e-3 * (r - 5e-4)).sum())


@pytest.mark.slow
def test_every_number_is_in_the_ledger_and_comes_from_rows(page):
    html, rows = page
    ledger = {key: n for key, n in html.ledger().items() if key.startswith("ladder")}
    shown = {key: float(value) for key, value, _ in html.data if key.startswith("ladder")}

    best = functools.cache(lambda prefix: best_sizes(budgets_behind(prefix, rows, ledger)))
    assert set(shown) == set(ledger) and len(shown) > 70
    for key, entry in ledger.items():
        assert shown[key] == entry["value"]
        used = rows.loc[list(entry["trials"])]
        assert len(used) and used["task"].eq("text-stream").all()
        expected = recomputed(key, used, ledger, best)
        close = 2e-4 if ":best:" in key or ":surface" in key else 1e-6
        assert entry["value"] == pytest.approx(expected, rel=close), f"{key}: {entry['how']}"


def budgets_behind(prefix: str, rows: pd.DataFrame, ledger: dict) -> dict[str, Budget]:
    """Return the cells and the compute of every budget under the prefix's convention."""
    budgets = {}
    for key, entry in ledger.items():
        if re.fullmatch(re.escape(prefix) + r":budget\d+:compute", key):
            own = rows.loc[list(entry["trials"])]
            cells = pd.DataFrame(
                {"n": counted(own, prefix), "d": own["tokens_seen"], "loss": own["test_loss"]}
            )
            cells = cells.groupby(["n", "d"], as_index=False).mean()
            budgets[key.split(":")[2]] = Budget(cells, entry["value"])
    return budgets


@functools.cache
def least_found(fit: tuple[float, ...], *columns: tuple[float, ...]) -> tuple[float, float]:
    """Return the objective at the fit E, A, B, α, β, and the least that a general search finds from
    the fit and from the truth. columns: N, D and the loss."""
    n, d, loss = map(np.array, columns)
    v = np.array([*np.log(fit[:3]), *fit[3:]])
    truth = np.array([*np.log(list(TRUTH.values())[:3]), TRUTH["α"], TRUTH["β"]])

    how = {"method": "Nelder-Mead", "options": {"maxiter": 4000, "maxfev": 4000}}
    found = [minimize(sum_of_huber, start, args=(n, d, loss), **how) for start in (v, truth)]
    return sum_of_huber(v, n, d, loss), min(other.fun for other in found)


def recomputed(
    key: str, used: pd.DataFrame, ledger: dict, best: Callable[[str], dict[str, float]]
) -> float:
    """Return the ledger's value, from the rows it used. best: the sizes of a prefix's budgets."""
    n, d, loss = (
        counted(used, key),
        used["tokens_seen"].to_numpy(float),
        used["test_loss"].to_numpy(float),
    )
    name, value = key.rpartition(":")[2], ledger[key]["value"]
    simple = {
        "trials": len(used),
        "runs": len(used),
        "cells": used.groupby(["p", "tokens_seen"]).ngroups,
        "p_min": n.min(),
        "p_max": n.max(),
        "d_min": d.min(),
        "d_max": d.max(),
        "l_min": loss.min(),
        "l_max": loss.max(),
        "c_max": (6 * n * d).max(),
        "delta": 1e-3,
        "level": 95,
        "sizes": len(set(n)),
        "starts": 49,
    }

    if name in simple:
        return simple[name]
    if name == "compute":
        return np.exp(np.log(6 * n * d).mean())
    if name in ("low", "high"):
        middle = ledger[key.rpartition(":")[0] + ":value"]["value"]
        assert 0 <= value <= middle if name == "low" else middle <= value
        return value
    if name == "per":
        return (
            ledger[key.replace(":per", ":compute")]["value"]
            / 6
            / ledger[key.replace(":per", ":best:value")]["value"] ** 2
        )

    prefix = ":".join(key.split(":")[:2])
    if ":best:" in key:
        return best(prefix)[key.split(":")[2]]
    if ":surface:" in key:
        names = ("A", "B", "alpha", "beta")
        a, b, alpha, beta = (ledger[f"{prefix}:{p}:value"]["value"] for p in names)
        compute = ledger[key.replace("surface:value", "compute")]["value"]
        grid = np.geomspace(100, 1e8, 200_001)
        return float(grid[(a * grid**-alpha + b * (compute / 6 / grid) ** -beta).argmin()])
    if name == "surface_tokens":
        compute = ledger[key.replace("surface_tokens", "compute")]["value"]
        return compute / 6 / ledger[key.replace("surface_tokens", "surface:value")]["value"]
    if ":surface_exponent:" in key:
        return ledger[f"{prefix}:compute_exponent:value"]["value"]
    if ":exponent:" in key:
        sizes = {k: v["value"] for k, v in ledger.items() if re.match(f"{prefix}.*:best:value", k)}
        compute = [ledger[k.replace("best:value", "compute")]["value"] for k in sizes]
        unweighted = np.polyfit(np.log(compute), np.log(list(sizes.values())), 1)[0]
        assert abs(value - unweighted) < 0.05
        return value

    if name == "draws":
        assert value >= 200
        return value
    if name == "agreement":
        assert 0 < value <= 1
        return value
    if name == "out":
        cells = used.groupby(["p", "tokens_seen"]).ngroups
        assert max(3, 0.15 * cells) <= value <= 0.35 * cells
        return value
    if "held-out" in key:
        errors = {
            k: v["value"]
            for k, v in ledger.items()
            if k.startswith(key.partition("held-out")[0] + "held-out")
        }
        assert (
            len(errors) == 3
            and 0 <= value < 0.2
            and min(errors, key=lambda k: errors[k]).endswith("E + A/N^α + B/D^β")
        )
        return value

    # A parameter or the objective, at the minimum that a general search finds from the fit and from
    # the truth.
    fit = [ledger[f"{prefix}:{p}:value"]["value"] for p in ("E", "A", "B", "alpha", "beta")]
    objective, least = least_found(tuple(fit), tuple(n), tuple(d), tuple(loss))
    assert least >= objective * (1 - 1e-4)

    if name == "objective":
        return objective
    if "compute_exponent" in key:
        return fit[4] / (fit[3] + fit[4])
    return fit[("E", "A", "B", "alpha", "beta").index(key.split(":")[2])]


@pytest.mark.slow
def test_the_form_that_made_the_rows_comes_back_under_its_own_convention(page):
    html, _ = page
    value = {key: n["value"] for key, n in html.ledger().items()}
    for name, truth in {
        "E": 1.2,
        "alpha": 0.35,
        "beta": 0.4,
        "compute_exponent": 0.4 / 0.75,
    }.items():
        low, high = (value[f"ladder0:without embeddings:{name}:{end}"] for end in ("low", "high"))
        assert low <= truth <= high

    ours, moved = (
        value[f"ladder0:{c}:compute_exponent:value"]
        for c in ("without embeddings", "all parameters")
    )

    assert abs(ours - 0.4 / 0.75) < 0.1 and abs(moved - ours) > 0.02, (
        "the convention moves the exponent"
    )


@pytest.mark.slow
def test_the_section_states_objective_filter_warnings_and_extrapolation(page):
    text = " ".join(" ".join(page[0].text).split())
    section = re.search(r"Compute-optimal ladder(.*?)Published language models", text)
    assert section is not None

    for phrase in (
        "Huber",
        "no trial left out",
        "with their seeds",
        "Kaplan",
        "without embeddings",
        "beyond it",
        "tokens per parameter",
    ):
        assert phrase in section[1], phrase

    left = section[1]
    for phrase in (
        "et al. 2022",
        "6·N·D",
        "context 64, lr 0.001",
        "56 trials, one mark each.",
        "Figure 14.",
    ):
        left = left.replace(phrase, "")
    assert not re.findall(r"\d+", left), re.findall(r".{30}\d+.{10}", left)


@pytest.mark.slow
def test_the_chart_shows_every_row_and_marks_minima(tmp_path):
    folder = make_store(tmp_path / "store", made() + OTHERS)
    rows = pd.read_parquet(folder).set_index("trial_id")
    section = section_of(ladder, folder)
    assert section
    chart = section.figures["ladder0"]
    assert [drawing.label for drawing in chart.drawings] == [
        "N, all parameters",
        "N, without embeddings",
        "tokens trained on",
    ]

    for k, drawing in enumerate(chart.drawings):
        trials = [trial for marks in drawing.marks for trial in marks.trials]
        assert sorted(trials) == sorted(rows.index[rows["task"].eq("text-stream")])
        for marks in drawing.marks:
            used = rows.loc[list(marks.trials)]
            if len(used):
                sizes = used["p"], counted(used, "without embeddings"), used["tokens_seen"]
                assert marks.x == pytest.approx(np.array(sizes[k], float))
                assert marks.y == pytest.approx(used["test_loss"].to_numpy())

        stars = [marks for marks in drawing.marks if marks.shape == STAR]
        solid = [line for line in drawing.lines if line.dash == SOLID]
        assert len(stars) == len(solid) == 4
        assert sum(line.dash == DASHED for line in drawing.lines) == 4
        for star, line in zip(stars, solid, strict=True):
            assert star.y[0] <= min(line.y) + 1e-9
            assert min(line.x) < star.x[0] < max(line.x)


@pytest.mark.slow
def test_each_setting_is_its_own_ladder_and_a_failed_seed_drops_its_cell(tmp_path):
    other, lost = made(settings={"lr": 3e-3}, seeds=(0,)), made()
    evidence = read_evidence(
        make_store(tmp_path / "s", lost + other + [failed() | failure_of(lost[0])])
    )
    first, second = ladders(evidence)
    assert ("lr 0.001" in first.settings) and ("lr 0.003" in second.settings)
    assert len(first.conventions[0].n) == len(lost) - 2 and len(second.conventions[0].n) == len(
        other
    )


@pytest.mark.slow
def test_the_page_mentions_repeated_tokens(tmp_path):
    rows = made(budgets=(1e11,), seeds=(0,))[:2]
    for k, mentioned in ((1, False), (2, True)):
        repeated = [r | {"tokens_distinct": r["tokens_seen"] // k} for r in rows]
        section = section_of(ladder, make_store(tmp_path / f"s{k}", repeated))
        assert section and ("saw tokens more than once" in section.html) == mentioned


def failure_of(r):
    """Return a failed seed of the row's configuration."""
    return {
        "trial_id": "f" * 16,
        "task": r["task"],
        "config_json": r["config_json"],
        "settings_json": r["settings_json"],
        "seed": 9,
    }


@pytest.mark.slow
@pytest.mark.parametrize("rows", [[], OTHERS, [failed()]], ids=["empty", "other tasks", "failed"])
def test_without_rows_of_a_ladder_there_is_no_section(tmp_path, rows):
    assert section_of(ladder, make_store(tmp_path / "s", rows)) is None


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3, 7, 9])
def test_small_ladders_give_a_section(tmp_path, count):
    rows = [{**r, "params_by_group": None} if count == 9 else r for r in made(seeds=(0,))[:count]]
    section = section_of(ladder, make_store(tmp_path / "s", rows))
    assert section and section.title.startswith("Compute-optimal ladder")
    text = Page(section.html).prose()
    assert "nan" not in text.lower().split()
    assert ("No fit: too few pairs of size and tokens" in text) == (count < 6)
    assert ("Weakly identified: few pairs of size and tokens" in text) == (count >= 6)
    assert section.figures["ladder0"].drawings


@pytest.mark.parametrize(
    ("surface", "expected"),
    [
        ((0.5, 0.4, 0.6), "(0.4 to 0.6): the intervals overlap."),
        ((0.7, 0.6, 0.8), "(0.6 to 0.8): the intervals do not overlap."),
        ((0.7, 0.6, np.inf), "(0.6 to none)."),
        ((0.7, np.nan, np.nan), "to the power 0.7."),
    ],
)
def test_the_intervals_of_both_exponents_are_compared_where_both_are_known(
    monkeypatch, surface, expected
):
    monkeypatch.setattr(convention, "size_exponent", lambda budgets: Interval(0.5, 0.45, 0.55))
    fit = SimpleNamespace(compute_exponent=Interval(*surface))
    said = convention._exponent([], convention.Source("l", "p", ("a",)), fit)  # pyright: ignore
    assert str(said).endswith(expected)
