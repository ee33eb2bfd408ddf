"""The section "Changed tokens": which curves are shown, and every point and bar by hand.

Run alone: python -m pytest tests/reports/sections/test_changed_tokens.py
"""

import math

import numpy as np
import pandas as pd
import pytest

from reports.charts.token_lines import shown_curves
from reports.evidence import read_evidence
from reports.sections.changed_tokens import ACCURACY, KL, NOISE, changed_tokens
from tests.reports.language_rows import pretrained_row, text_row, token_change
from tests.reports.ledger import check_section, name_of
from tests.reports.rich_store import token_kl
from tests.reports.stores import make_store, row

SIZES = (300, 600, 1200)


def section(tmp_path, rows):
    return changed_tokens(read_evidence(make_store(tmp_path / "store", rows)))


def made_of(tmp_path, rows):
    made = section(tmp_path, rows)
    assert made is not None
    return made


def test_rows_without_text_have_no_section(tmp_path):
    assert (
        section(
            tmp_path, [row(), text_row(300, token_changes=None), text_row(600, token_changes=[])]
        )
        is None
    )


@pytest.mark.slow
def test_points_are_means_over_trials_and_bars_are_of_the_mean(tmp_path):
    made = made_of(tmp_path, [text_row(p, seed, 3.0 + seed) for p in SIZES for seed in (0, 1)])
    drawings = made.figures[KL].drawings
    assert [drawing.label.rsplit(": ")[1] for drawing in drawings] == [
        "replaced by another token",
        "mistyped",
    ]
    assert [marks.name for marks in drawings[0].marks] == [f"p = {p:,}" for p in SIZES]
    assert drawings[0].made_of == "6 trials of 3 sizes."

    for marks in drawings[0].marks:
        y = np.array([3.5, 3.5 / 4, 3.5 / 8])
        half = 1.96 * math.sqrt(0.3**2 + 0.4**2) / 2 * np.array([1, 1 / 4, 1 / 8])
        assert marks.x == (1, 4, 8) and marks.y == pytest.approx(y)
        assert marks.low == pytest.approx(y - half) and marks.high == pytest.approx(y + half)


@pytest.mark.slow
def test_accuracy_and_noise_have_charts_of_their_own(tmp_path):
    made = made_of(tmp_path, [text_row(p, seed, 3.0 + seed) for p in SIZES for seed in (0, 1)])
    right, noise = (made.figures[key].drawings[0].marks[0] for key in (ACCURACY, NOISE))
    half = 1.96 * 0.05 / math.sqrt(2)
    assert right.y == (0.3,) * 3 and right.high == pytest.approx([0.3 + half] * 3)
    assert noise.x == (0.1, 0.2) and noise.y == pytest.approx([1.05, 3.15])
    # from trial to trial
    assert noise.low == pytest.approx([0.9, 2.7]) and noise.high == pytest.approx([1.2, 3.6])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "name", "sizes"),
    [
        (
            [
                text_row(p, n=n, settings={})
                for n, ps in ((400, SIZES), (900, SIZES[:2]))
                for p in ps
            ],
            "n = 400",
            SIZES,
        ),
        ([text_row(p, n=n) for n in (400, 900) for p in SIZES], "n = 900", SIZES),
        (
            [pretrained_row(p, token_changes=[token_change("replaced", 1, 1.0)]) for p in SIZES],
            "pretrained, as published",
            SIZES,
        ),
    ],
)
def test_a_kind_is_shown_by_its_curve_with_most_sizes_then_largest_n(tmp_path, rows, name, sizes):
    (curve,) = shown_curves(read_evidence(make_store(tmp_path / "store", rows)).trials)
    assert curve.name.endswith(name) and tuple(curve.sizes) == sizes


@pytest.mark.slow
def test_each_kind_is_drawn_with_its_own_sizes(tmp_path):
    rows = [text_row(p) for p in SIZES] + [
        pretrained_row(70, token_changes=[token_change("replaced", 1, 1.0)], noise_kl=None)
    ]
    drawings = {own.label: own for own in made_of(tmp_path, rows).figures[KL].drawings}
    published = drawings["pretrained, as published: replaced by another token"]
    assert len(drawings) == 3 and [len(marks.x) for marks in published.marks] == [1]


@pytest.mark.slow
def test_without_a_standard_error_bars_show_the_range_of_trials(tmp_path):
    rows = [
        text_row(300, s, token_changes=[token_change("replaced", 1, 1.0 + s) | {"kl_se": None}])
        for s in (0, 1)
    ]
    (marks,) = made_of(tmp_path, rows).figures[KL].drawings[0].marks
    assert (marks.y, marks.low, marks.high) == ((1.5,), (1.0,), (2.0,))


@pytest.mark.slow
def test_the_sentence_describes_the_smallest_and_the_largest_model(tmp_path):
    (sentence,) = made_of(tmp_path, [text_row(p, 0, p / 100) for p in SIZES]).sentences
    assert (
        str(sentence)
        == "gpt, 256 classes, 30 % resampled, n = 400: replacing the last token moves the"
        " prediction by 3 nats at p = 300 and 12 at p = 1,200; replacing the token 8 places"
        " before the target moves it by 0.375 and 1.5."
    )

    (alone,) = made_of(tmp_path / "one", [text_row(300, 0, 4.0)]).sentences
    assert (
        str(alone).endswith(
            "by 4 nats at p = 300; replacing the token 8 places before the target moves it by 0.5."
        )
        and len(alone.numbers()) == 4
    )


@pytest.mark.slow
def test_every_number_is_recomputed_from_rows(rich):
    check_section(rich, "tokens", recomputed)


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    name = name_of(key)
    ok = rows[rows["status"] == "ok"]
    if name == "distance":
        return 8
    size = key.split(":")[-2]
    own = ok[ok["token_changes"].notna()]
    p = own["p"].min() if size == "small" else own["p"].max()
    return p if name == "p" else token_kl(used[used["p"] == p], {"near": 1, "far": 8}[name]).mean()
