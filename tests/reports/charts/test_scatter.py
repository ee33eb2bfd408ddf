"""Charts of trials: every mark is a row, and every line has its fitted slope.

Run alone: python -m pytest tests/reports/charts/test_scatter.py
"""

import json

import numpy as np
import pandas as pd
import pytest

from reports.charts.axes import PARAMETERS, STABILITY_AXIS, Axis
from reports.charts.captions import of_rows
from reports.charts.chart import DASHED, SOLID, Chart
from reports.charts.scatter import GUIDE, scatter, with_published
from reports.charts.thinned import MOST_MARKS
from reports.evidence import read_evidence
from reports.law import fit_all, fit_evidence
from reports.sections import law, size
from tests.reports.published.published_figures import MADRY
from tests.reports.rich_store import at_radius
from tests.reports.stores import make_store, power_law, row

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
        ["robust_linf_0.1", "robust_linf_0.1", "robust_linf_0.1", "robust_linf_0.2", "robust_linf"],
    ),
    "robust_l2": (["p"], ["robust_l2"]),
    "sensitivity": (["p"], ["flip_rate"]),
    "per_token": (["params_per_token"], ["stability_attack_mean"]),
    "certified": (["stability_attack_mean"], ["stability_certified_mean"]),
    "corruption": (["p"], ["corruption_blur", "corruption_shift"]),
    "ece": (["p"], ["ece"]),
}
"""Chart → the columns of x and of y, one drawing each. The rows have ℓ∞ radii down to 0.1 only."""


OF_OTHERS = {
    "slopes",
    "published_places",
    "published_accuracy",
    "tokens_kl",
    "tokens_accuracy",
    "tokens_noise",
}
"""Charts of slopes, of published figures and of changed tokens, whose marks are not single trials:
test_published.py and sections/test_changed_tokens.py check them."""
LOG_Y = {"stability_attack_mean", "stability_certified_mean"}
"""Columns on a logarithmic axis, beside all Lipschitz constants."""


@pytest.mark.slow
def test_every_chart_is_known(rich):
    drawn = json.loads(rich[0].scripts["chart-data"])["charts"]
    assert set(CHARTS) | OF_OTHERS == set(drawn)


@pytest.mark.slow
@pytest.mark.parametrize("chart", CHARTS)
def test_every_mark_of_every_chart_is_a_row(rich, chart):
    page, rows = rich
    rows = rows[rows["status"] == "ok"]
    rows = rows.assign(**{f"robust_linf_{r}": at_radius("linf", r)(rows) for r in (0.1, 0.2)})
    data, texts = (json.loads(page.scripts[block]) for block in ("chart-data", "trial-texts"))
    arrays, drawings = data["arrays"], list(data["charts"][chart].values())
    pairs = [(x, y) for x in CHARTS[chart][0] for y in CHARTS[chart][1]]
    if chart.startswith("lip"):
        rows = rows[(rows["outputs"] == 1) != chart.endswith("_classes")]
    fills = (
        "below_noise" if chart in ("lipschitz", "lip_mean", "lip_upper") else "below_bayes_error"
    )

    assert len(drawings) == len(pairs)
    for (x, y), drawing in zip(pairs, drawings, strict=True):
        drawn = []
        for series in drawing["series"]:
            if "trials" not in series:
                continue
            own = rows.loc[arrays[series["trials"]]]
            drawn += own.index.tolist()
            assert arrays[series["x"]] == pytest.approx(own[x].tolist(), rel=1e-5)
            assert arrays[series["y"]] == pytest.approx(own[y].tolist(), rel=1e-5)
            assert own[fills].astype(bool).eq(series["filled"]).all()

        on_y = rows[y].gt(0) if y in LOG_Y or chart.startswith("lip") else rows[y].notna()
        assert sorted(drawn) == sorted(rows.index[rows[x].gt(0) & on_y]) and drawn
        for trial in drawn:
            assert trial in texts["trials"][trial][0] and texts["trials"][trial][3] == 0


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Evidence of three curves with a slope of 0.3 each, whose first sizes stay above the noise."""
    rows = power_law(0.3, spread=0.02, ns=(100, 200, 400))
    return read_evidence(make_store(tmp_path_factory.mktemp("scatter") / "store", rows))


@pytest.mark.slow
def test_fitted_lines_have_the_fitted_slope_and_the_guide_the_laws(planted):
    chart = scatter(
        planted,
        planted.trials,
        PARAMETERS,
        STABILITY_AXIS,
        fitted=fit_all(planted.trials).slopes_of("stability_attack_mean"),
        guide=0.5,
    )
    assert chart
    (drawing,) = chart.drawings
    *fitted, guide = drawing.lines
    (slope,) = fit_all(planted.trials).slopes_of("stability_attack_mean").values()
    for line in fitted:
        x, y = (np.array(side, float).reshape(-1, 3)[:, :2] for side in (line.x, line.y))
        assert len(x) >= 1
        assert np.diff(np.log(y)) / np.diff(np.log(x)) == pytest.approx(
            np.full((len(x), 1), slope.slope)
        )
    assert fitted[0].dash == SOLID and len(fitted[0].x) == 9

    assert guide.name == GUIDE and guide.dash == DASHED
    assert np.diff(np.log(guide.y)) / np.diff(np.log(guide.x)) == pytest.approx(0.5)


def test_a_band_holds_the_interval_of_the_slope(planted):
    slopes = fit_all(planted.trials).slopes_of("stability_attack_mean")
    chart = scatter(planted, planted.trials, PARAMETERS, STABILITY_AXIS, fitted=slopes)
    assert chart
    (slope,) = slopes.values()
    bands = chart.drawings[0].bands
    assert len(bands) == 3
    for band in bands:
        along = np.log(np.array(band.high) / np.array(band.low))
        width = np.log(band.x[-1] / band.x[0])
        # narrow at the middle, at the ends as wide as the interval of the slope makes it
        assert along.min() < along[0] and along.min() < along[-1]
        assert along[0] + along[-1] == pytest.approx((slope.high - slope.low) * width, rel=1e-6)


@pytest.mark.slow
def test_a_caption_states_the_slope_with_its_interval_and_its_numbers_are_the_fits(planted):
    slopes = fit_all(planted.trials).slopes_of("stability_attack_mean")
    chart = scatter(planted, planted.trials, PARAMETERS, STABILITY_AXIS, fitted=slopes)
    assert chart
    ((kind, slope),) = slopes.items()
    expected = (
        f"Exponent of p in stability S: {slope.slope:+.2f} ({slope.low:+.2f} to"
        f" {slope.high:+.2f}) for {kind}."
    )
    assert str(chart.drawings[0].caption) == expected
    assert [number.value for number in chart.numbers()] == [slope.slope, slope.low, slope.high]


def test_without_a_fit_the_caption_gives_the_medians_at_the_ends(tmp_path):
    rows = [row(p, seed=s, stability=0.1 * p + 0.01 * s) for p in (10, 40) for s in (0, 1, 2)]
    evidence = read_evidence(make_store(tmp_path / "store", rows))
    chart = scatter(evidence, evidence.trials, PARAMETERS, STABILITY_AXIS)
    assert chart
    assert str(chart.drawings[0].caption).startswith(
        "Between the smallest and the largest p, the median of stability S goes from 1.01 to 4.01"
    )


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (True, "Its median moves most, from 90 % to 40 % for b."),
        (False, "Its median changes by the largest factor, from 0.1 to 0.5 for a."),
    ],
)
def test_the_kind_that_moves_most_does_so_in_the_figures_printed(share, expected):
    """Kind a moves by .4, a factor of 5; kind b by .5, a factor of 2.25."""
    ends = {"a": (0.1, 0.5), "b": (0.9, 0.4), "c": (0.3, 0.3), "d": (0.3, 0.3)}
    rows = pd.DataFrame(
        [(kind, p, y) for kind, of in ends.items() for p, y in zip((1, 10), of, strict=True)],
        columns=["kind", "p", "y"],
    )
    y = Axis("y", "y", share=share)
    assert of_rows(rows, PARAMETERS, y).endswith(expected)


@pytest.mark.slow
def test_a_chart_of_too_many_trials_draws_medians_and_says_so(planted):
    one = planted.trials.iloc[[0]]
    count = MOST_MARKS + 1
    rng = np.random.default_rng(0)
    many = pd.concat([one] * count, ignore_index=True).assign(
        trial_id=[f"t{i}" for i in range(count)],
        p=np.geomspace(100, 9999, count),
        stability_attack_mean=np.exp(rng.normal(0, 0.1, count)),
    )
    chart = scatter(planted, many, PARAMETERS, STABILITY_AXIS)
    assert chart
    (drawing,) = chart.drawings
    (marks,) = drawing.marks
    assert len(marks.x) == 40 and not chart.trials()
    assert all(low < y < high for low, y, high in zip(marks.low, marks.y, marks.high, strict=True))
    assert marks.texts[0].endswith("median of 51 trials")
    assert drawing.made_of.startswith("2,001 trials, too many to draw one by one: 40 marks")

    fewer = scatter(planted, many.iloc[1:], PARAMETERS, STABILITY_AXIS)
    assert fewer and len(fewer.trials()) == MOST_MARKS


def test_a_measure_without_a_value_has_no_chart(planted):
    missing = planted.trials.assign(nothing=np.nan)
    assert scatter(planted, missing, PARAMETERS, Axis("nothing", "nothing")) is None


def charts_of(part, store) -> dict[str, Chart]:
    """Return the charts of one section, or of the three in `size`."""
    evidence = read_evidence(store)
    fits = fit_evidence(evidence)
    makers = [size.accuracy, size.sensitivity, size.per_token] if part is size else [part.section]
    sections = [make(evidence, fits) for make in makers]
    return {key: chart for made in sections if made for key, chart in made.figures.items()}


@pytest.mark.slow
def test_published_figures_are_hollow_shown_at_their_own_radius_and_beside_their_own_task(tmp_path):
    at_all_radii = {
        "task": "mnist",
        "outputs": 10,
        "robust_linf_radii": [0.3, 0.1],
        "robust_accuracy_linf": [0.2, 0.6],
    }
    store = make_store(tmp_path / "digits", [row(10), row(20, **at_all_radii)])
    *others, largest = charts_of(size, store)["robust_linf"].drawings
    published = largest.marks[-1]
    assert published.x == tuple(MADRY["parameters"]) and published.y == tuple(MADRY["accuracy"])
    assert not published.filled and all("Madry" in text for text in published.texts)
    named = [marks.name for drawing in others for marks in drawing.marks]
    assert len(others) > 1 and published.name not in named

    elsewhere = with_published(
        Chart("accuracy", tuple(others)), [1.0], [0.5], ["text"], "published", "0.3"
    )
    assert elsewhere.drawings == tuple(others)

    other = charts_of(size, make_store(tmp_path / "other", [row()]))
    assert "published" not in str(other["robust_linf"])


@pytest.mark.slow
def test_only_the_charts_that_a_law_holds_for_have_a_guide(tmp_path):
    store = make_store(tmp_path / "store", power_law(0.3))
    charts = charts_of(law, store) | charts_of(size, store)
    with_guide = {
        key
        for key, chart in charts.items()
        for drawing in chart.drawings
        for line in drawing.lines
        if line.name == GUIDE
    }
    assert with_guide == {"law"}
