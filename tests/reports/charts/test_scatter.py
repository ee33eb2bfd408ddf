"""Charts of trials: every point is a row, and every line has its fitted slope.

Run alone: python -m pytest tests/reports/charts/test_scatter.py
"""

import json

import numpy as np
import pandas as pd
import plotly.io as pio
import pytest

from reports.evidence import read_evidence
from reports.page import render
from tests.reports.page_reader import Page
from tests.reports.published.published_figures import MADRY
from tests.reports.rich_store import at_radius
from tests.reports.stores import make_store, row

ND = ["x_law", "p_over_nd_participation", "p_over_nd_twonn", "p_over_nd_mle"]


CHARTS = {
    "law": (ND, ["stability_attack_mean"]),
    "lipschitz": (ND, ["lip_lower"]),
    "lip_lower_classes": (ND, ["lip_lower_normalised"]),
    "lip_mean": (ND, ["lip_mean"]),
    "lip_mean_classes": (ND, ["lip_mean_normalised"]),
    "lip_upper": (ND, ["lip_upper_product"]),
    "lip_upper_classes": (ND, ["lip_upper_normalised"]),
    "accuracy": (["p"], ["test_accuracy", "bits_per_byte", "last_word_accuracy"]),
    "robust_linf": (
        ["p"],
        ["robust_linf", "robust_linf_0.2", "robust_linf_0.1", "robust_linf_0.1", "robust_linf_0.1"],
    ),
    "robust_l2": (["p"], ["robust_l2"]),
    "sensitivity": (["p"], ["flip_rate"]),
    "per_token": (["params_per_token"], ["stability_attack_mean"]),
    "certified": (["stability_attack_mean"], ["stability_certified_mean"]),
    "corruption": (["p"], ["corruption_blur", "corruption_shift"]),
    "ece": (["p"], ["ece"]),
}
"""Chart → the columns that can be chosen for x and for y. The rows have ℓ∞ radii down to 0.1
only."""


OF_OTHERS = {
    "published_places",
    "published_accuracy",
    "tokens_kl",
    "tokens_accuracy",
    "tokens_noise",
}
"""Charts of published figures and of changed tokens, whose points are not single trials:
charts/test_published.py and sections/test_changed_tokens.py check them."""


@pytest.mark.slow
def test_every_chart_is_known(rich):
    assert set(CHARTS) | OF_OTHERS == set(rich[0].scripts) - {"ledger", "trial-texts", "code"}


@pytest.mark.slow
@pytest.mark.parametrize("chart", sorted(set(CHARTS) | OF_OTHERS))
def test_every_chart_has_the_one_template(rich, chart):
    template = json.loads(json.dumps(pio.templates["simple_white"].to_plotly_json()))
    assert json.loads(rich[0].scripts[chart])["layout"]["template"] == template


@pytest.mark.slow
@pytest.mark.parametrize("chart", CHARTS)
def test_every_point_of_every_chart_is_a_row(rich, chart):
    page, rows = rich
    rows = rows[rows["status"] == "ok"]
    rows = rows.assign(**{f"robust_linf_{r}": at_radius("linf", r)(rows) for r in (0.1, 0.2)})
    texts, figure = json.loads(page.scripts["trial-texts"]), json.loads(page.scripts[chart])
    views = [(x, y) for x in CHARTS[chart][0] for y in CHARTS[chart][1]]

    assert len(figure["layout"].get("meta", {"choices": [None]})["choices"]) == len(views)
    fills = (
        "below_noise" if chart in ("lipschitz", "lip_mean", "lip_upper") else "below_bayes_error"
    )
    drawn = []

    for trace in figure["data"]:
        if "customdata" not in trace:
            continue
        for k, (x, y) in enumerate(views):
            values = trace["meta"][k] if len(views) > 1 else trace
            assert k or (values["x"], values["y"]) == (trace["x"], trace["y"])
            for px, py, trial in zip(values["x"], values["y"], trace["customdata"], strict=True):
                expected = [
                    None if pd.isna(v) else v for v in (rows.loc[trial, x], rows.loc[trial, y])
                ]
                assert [px, py] == pytest.approx(expected), (trial, x, y)
        for trial in trace["customdata"]:
            assert trace["marker"]["symbol"].endswith("-open") != bool(rows.loc[trial, fills])
            assert f"--trial {trial}" in texts[trial][-1]
        drawn += trace["customdata"]

    xs, ys = CHARTS[chart]
    wanted = rows[rows[xs].notna().any(axis=1) & rows[ys].notna().any(axis=1)]
    if chart.startswith("lip"):
        wanted = wanted[(wanted["outputs"] == 1) != chart.endswith("_classes")]
    assert sorted(drawn) == sorted(wanted.index) and drawn


@pytest.mark.slow
def test_fitted_lines_have_the_fitted_slope_and_guides_the_laws(rich):
    page, _ = rich
    ledger = {key: n["value"] for key, n in page.ledger().items()}
    for chart, column, order in (
        ("law", "stability_attack_mean", 0.5),
        ("lipschitz", "lip_lower", -0.5),
    ):
        lines = [t for t in json.loads(page.scripts[chart])["data"] if t["mode"] == "lines"]
        drawn = 0
        for line in lines:
            guide = line["line"].get("dash") == "dot"
            expected = order if guide else ledger[f"law:{line['legendgroup']}:{column}:slope"]
            for view in line["meta"]:
                # three values of each line: its ends and a gap; a guide is its two ends
                ends = np.array([*view["x"], *[None] * guide], float).reshape(-1, 3)[:, :2]
                heights = np.array([*view["y"], *[None] * guide], float).reshape(-1, 3)[:, :2]
                known = np.isfinite(ends).all(axis=1)
                slopes = np.diff(np.log(heights[known])) / np.diff(np.log(ends[known]))
                assert slopes == pytest.approx(np.full_like(slopes, expected), abs=1e-6)
                drawn += known.sum()
            assert not guide or "at an arbitrary height" in line["name"]
        assert sum(line["line"].get("dash") == "dot" for line in lines) == 1 and drawn > 9


@pytest.mark.slow
def test_only_the_charts_of_the_law_have_a_guide(rich):
    dotted = {
        c
        for c in CHARTS
        for t in json.loads(rich[0].scripts[c])["data"]
        if t.get("line", {}).get("dash") == "dot"
    }
    assert dotted == {"law", "lipschitz", "certified"}


@pytest.mark.slow
def test_published_points_are_open_and_shown_only_at_their_own_radius(rich):
    (trace,) = [
        t
        for t in json.loads(rich[0].scripts["robust_linf"])["data"]
        if t["name"].startswith("published")
    ]

    assert trace["x"] == MADRY["parameters"].tolist() and trace["y"] == MADRY["accuracy"].tolist()
    assert [len(view["x"]) for view in trace["meta"]] == [6, 0, 0, 0, 0] and trace["marker"][
        "symbol"
    ].endswith("-open")
    assert all("Madry" in text for text in trace["text"])


@pytest.mark.slow
def test_published_points_are_not_set_beside_other_tasks(tmp_path):
    page = Page(render(read_evidence(make_store(tmp_path / "store", [row()]))))
    assert "published" not in page.scripts["robust_linf"]
