"""The section "Sensitivity against tokens per parameter": planted truths in words, numbers computed
again, marks of every trial, and when there is no section.

Run alone: python -m pytest tests/reports/sections/test_token_ratio.py
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports import token_ratio as ratios
from reports.answer import answers
from reports.charts.chart import TICK
from reports.evidence import read_evidence
from reports.fits.plane import fit_plane
from reports.law import fit_evidence
from reports.published.tables import language_models
from reports.sections import token_ratio
from reports.token_ratio import answer_sentences_on_ratio
from tests.reports.language_rows import language_row, token_change
from tests.reports.page_reader import Page
from tests.reports.stores import failed, make_store

WIDTHS = (16, 24, 36, 52, 76)
TOKENS = tuple(64 * n for n in (5000, 10000, 20000, 40000, 80000))
MEASURES = ("stability_attack_mean", "lip_mean_logprob_jacobian", "kl_far_token")


def made(spread: float = 0.02, **changes: Any) -> list[dict]:
    """Return a grid of sizes and tokens: S follows the tokens, the Jacobian their ratio, and a
    replaced token does the same to all."""
    rng, rows = np.random.default_rng(4), []
    for width in WIDTHS:
        for tokens in TOKENS:
            p = language_row(width, tokens, 2.0)["p"]
            noise = np.exp(spread * rng.standard_normal(3))
            rows.append(
                language_row(
                    width,
                    tokens,
                    1.0 + 20 * p**-0.4 + 60 * tokens**-0.3,
                    **{
                        "stability_attack_mean": 0.01 * tokens**0.2 * noise[0],
                        "lip_mean_logprob_jacobian": 3 * (tokens / p) ** 0.15 * noise[1],
                        "token_changes": [token_change("replaced", 8, 0.2 * noise[2])],
                        **changes,
                    },
                )
            )
    return rows


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory):
    folder = make_store(tmp_path_factory.mktemp("ratio") / "store", made())
    evidence = read_evidence(folder)
    fits = fit_evidence(evidence)
    section = token_ratio.section(evidence, fits)
    assert section is not None
    return section, evidence, fits


@pytest.mark.slow
def test_what_each_measure_follows_is_said_on_the_page_and_in_the_answer(shown):
    section, evidence, fits = shown
    text = Page(section.html).prose()
    for said in (
        "stability S (nearest label change found) follows the tokens, not the parameters",
        "the mean Jacobian norm follows the tokens per parameter",
        "the response to a replaced token far back hardly depends on parameters or tokens",
        "the larger model is less robust",
    ):
        assert said in text

    (gpts,) = answers(evidence, fits)
    told = [str(sentence) for sentence in gpts.sentences]
    assert any("follows the tokens, not the parameters" in sentence for sentence in told)


@pytest.mark.slow
def test_a_page_fits_each_measure_once(shown, monkeypatch):
    _, evidence, _ = shown
    fitted = []

    def counted(*columns):
        fitted.append(columns)
        return fit_plane(*columns)

    monkeypatch.setattr(ratios, "fit_plane", counted)
    fits = fit_evidence(evidence)
    answers(evidence, fits)
    assert token_ratio.section(evidence, fits) is not None and len(fitted) == len(MEASURES)


@pytest.mark.slow
def test_numbers_come_from_rows(shown):
    section, evidence, _ = shown
    rows = evidence.trials.set_index("trial_id")
    numbers = {n.key: n for n in section.numbers if ":filter:" not in n.key}
    assert len(numbers) > 45
    for key, number in numbers.items():
        used = rows.loc[list(number.trials)]
        assert len(used) == 25
        expected = recomputed(key, used, number.value)
        assert number.value == pytest.approx(expected, rel=1e-6), number.how


def recomputed(key: str, used: pd.DataFrame, value: float) -> float:
    _, _, column, *name = key.split(":")
    n, d, y, loss = (
        np.log(used[c].to_numpy(float)) for c in ("p", "tokens_seen", column, "test_loss")
    )
    if name[0] in ("size", "tokens", "loss"):
        other = loss if name[0] == "loss" else d
        slopes = np.linalg.lstsq(np.column_stack([np.ones(25), n, other]), y, rcond=None)[0]
        middle = 10 ** slopes[2 if name[0] == "tokens" else 1] - 1
        if name[1] == "value":
            return middle
        assert (value < middle) == (name[1] == "low")
        return value

    counts = {"trials": 25, "cells": 25, "out": 6}
    if name[0] in counts:
        return counts[name[0]]
    if name[0] == "share":
        assert 0.95 <= value <= 1
        return value
    assert name[0].startswith("held-out") and 0 <= value < 0.6
    last = n + d >= np.sort(n + d)[-5] - 0.05
    if not name[0].endswith("one value"):
        return value
    return np.exp(np.sqrt(np.mean((y[last] - y[~last].mean()) ** 2))) - 1


@pytest.mark.slow
def test_charts_show_every_trial_and_where_published_models_lie(shown):
    section, evidence, _ = shown
    by_ratio, by_loss = section.figures.values()
    assert [drawing.value for drawing in by_ratio.drawings] == list(MEASURES)
    published = [model.tokens / model.parameters for model in language_models() if model.tokens]
    for column, drawing, other in zip(MEASURES, by_ratio.drawings, by_loss.drawings, strict=True):
        *sizes, ticks = drawing.marks
        assert ticks.shape == TICK and sorted(ticks.x) == sorted(published)
        assert ticks.y[0] < evidence.trials[column].min()
        trials = [trial for marks in sizes for trial in marks.trials]
        assert sorted(trials) == sorted(evidence.trials["trial_id"])
        own = evidence.trials.set_index("trial_id").loc[trials]
        x = [value for marks in sizes for value in marks.x]
        assert x == pytest.approx((own["tokens_seen"] / own["p"]).to_numpy(float))
        losses = [value for marks in other.marks for value in marks.x]
        assert losses == pytest.approx(own["test_loss"].to_numpy(float))
        assert len(drawing.lines) == len(other.marks) == len(WIDTHS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (made()[:7], "no fit, too few pairs of size and tokens"),
        (made(spread=2.0), "it cannot be told whether stability S"),
    ],
    ids=["few", "noisy"],
)
def test_what_cannot_be_told_is_said(tmp_path, rows, said):
    evidence = read_evidence(make_store(tmp_path / "s", rows))
    section = token_ratio.section(evidence, fit_evidence(evidence))
    assert section and said in Page(section.html).prose()


@pytest.mark.slow
def test_rows_without_the_measures_and_models_that_learnt_nothing_give_no_section(tmp_path):
    plain = dict.fromkeys(("stability_attack_mean", "lip_mean_logprob_jacobian", "token_changes"))
    unlearnt = [row | {"test_loss": 5.4} for row in made()]
    for name, rows in (("plain", made(**plain)), ("unlearnt", unlearnt)):
        evidence = read_evidence(make_store(tmp_path / name, rows))
        assert token_ratio.section(evidence, fit_evidence(evidence)) is None


@pytest.mark.slow
def test_the_page_says_which_trials_are_left_out(tmp_path):
    rows = made()
    rows[0]["test_loss"] = rows[1]["test_loss"] = 5.1  # of log 256 = 5.55
    same = {name: rows[-1][name] for name in ("task", "config_json", "settings_json")}
    rows.append(failed(trial_id="f" * 16, seed=1, **same))
    evidence = read_evidence(make_store(tmp_path / "s", rows))
    section = token_ratio.section(evidence, fit_evidence(evidence))
    assert section is not None
    text = Page(section.html)
    left_out = {n.key: (n.value, set(n.trials)) for n in section.numbers if ":filter:" in n.key}
    unlearnt = {row["trial_id"] for row in rows[:2]}
    assert left_out == {
        "ratio:0:filter:share": (0.9, set()),
        "ratio:0:filter:unfinished": (1, {rows[-2]["trial_id"]}),
        "ratio:0:filter:unlearnt": (2, unlearnt),
    }
    assert "for a failed seed or a figure that is missing" in text.prose()
    assert "at most 1/3 of that of N" in text.prose()
    counts = {n.key: n.value for n in section.numbers if n.key.endswith(":trials")}
    assert set(counts.values()) == {22}


@pytest.mark.slow
def test_the_answer_names_the_ladder_where_there_are_several(tmp_path):
    rows = made() + made(settings={"lr": 3e-4})
    evidence = read_evidence(make_store(tmp_path / "s", rows))
    found = fit_evidence(evidence).ratios
    told = [str(sentence) for sentence in answer_sentences_on_ratio(found)]
    assert [text.partition(": In a single pass")[0] for text in told] == [
        "context 64, lr 0.0003",
        "context 64, lr 0.001",
    ]
