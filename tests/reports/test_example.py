"""The stores that ship as examples give the figures that the findings and the log state.

Run alone: python -m pytest tests/reports/test_example.py
"""

import json
import re
from pathlib import Path

import pytest

from harness.sweeps.sweep import load_sweep
from reports.evidence import read_evidence
from reports.frontier import radii
from reports.frontier_answer import fit_frontier
from reports.law import fit_all
from reports.measures import RADIUS
from reports.page import render
from reports.published.tables import language_models
from reports.sections.ladder import ladders
from reports.token_ratio import token_ratios
from tests import ROOT

EXAMPLE = ROOT / "reports" / "examples" / "mnist-law-60k"
SCHEMA_2 = Path(__file__).parent / "schema_2"
"""The same sweep, run by an earlier version with fewer instruments."""


@pytest.fixture(scope="module")
def fits():
    return {f.kind.split(", ", 2)[2]: f for f in fit_all(read_evidence(EXAMPLE).trials).kinds}


@pytest.mark.slow
def test_every_trial_of_its_sweep_is_there():
    evidence = read_evidence(EXAMPLE)
    (sweep,) = evidence.sweeps
    assert set(evidence.trials["trial_id"]) == set(sweep.trials) and len(evidence.trials) == 216
    assert not len(evidence.failures) and not evidence.problems
    assert sum(p.stat().st_size for p in EXAMPLE.rglob("*") if p.is_file()) < 2_000_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["20 % flipped", "40 % flipped", "no injected noise, interpolated"]
)
def test_the_log_states_its_slopes(fits, kind):
    log = (ROOT / "LOG.md").read_text()
    label = {"no injected noise, interpolated": "no flips, interpolated"}.get(kind, kind)
    line = next(
        x
        for x in log[log.index("The slopes of mnist-law-60k anew") :].splitlines()
        if x.strip().startswith(f"| {label} |")
    )
    stated = [float(x) for x in re.findall(r"[+-]?\d\.\d{3}", line)]
    f = fits[kind]
    expected = [
        f.stability.slope,
        f.stability.low,
        f.stability.high,
        f.lipschitz.slope,
        f.lipschitz.low,
        f.lipschitz.high,
    ]

    assert stated == pytest.approx(expected, abs=0.0006)
    assert f"| {f.stability.cells} |" in line


@pytest.mark.slow
def test_the_findings_state_its_slopes(fits):
    text = " ".join((ROOT / "docs" / "findings.md").read_text().split())
    found = re.search(
        r"grows like p\^(\S+) \((\S+) to (\S+)\) and the steepest pair of points found changes like"
        r" p\^(\S+) \((\S+) to (\S+)\):",
        text,
    )

    assert found is not None
    f = fits["40 % flipped"]
    expected = [
        f.stability.slope,
        f.stability.low,
        f.stability.high,
        f.lipschitz.slope,
        f.lipschitz.low,
        f.lipschitz.high,
    ]

    assert [float(x.replace("−", "-")) for x in found.groups()] == pytest.approx(
        expected, abs=0.006
    )


def test_the_findings_state_how_close_the_certified_bound_comes():
    trials = read_evidence(EXAMPLE).trials
    stated = re.search(
        r"certified upper bound is (\S+) times that pair's slope in the median",
        " ".join((ROOT / "docs" / "findings.md").read_text().split()),
    )
    assert stated is not None
    assert float(stated.group(1)) == pytest.approx(
        (trials["lip_upper_product"] / trials["lip_lower_pairs"]).median(), abs=0.06
    )


def test_the_findings_state_where_published_models_lie():
    text = " ".join((ROOT / "docs" / "findings.md").read_text().split())
    stated = re.search(r"Published models lie at p/\(n·d\) of (\S+) to (\S+)\. That", text)
    assert stated is not None
    places = [m.place for m in language_models() if m.place is not None]
    assert [float(x) for x in stated.groups()] == pytest.approx(
        [min(places), max(places)], rel=0.02
    )


@pytest.mark.slow
def test_rows_of_an_older_schema_give_a_page_that_says_what_it_lacks():
    html = render(read_evidence(SCHEMA_2))
    drawn = set(re.findall(r'<figure class="chart-figure" id="chart-([a-z_0-9]+)"', html)) - {
        "slopes"
    }
    published = {"published_places", "published_accuracy"}
    assert (
        drawn
        == {
            "law",
            "lipschitz",
            "lip_mean",
            "accuracy",
            "sensitivity",
            "per_token",
        }
        | published
    )

    assert "the largest gradient norm stands in for it" in html
    for section in ("data", "pictures", "trust"):
        assert f'<section id="{section}">' not in html


@pytest.mark.slow
def test_the_findings_and_the_log_state_the_slopes_of_gpts():
    evidence = read_evidence(EXAMPLE.parent / "gpt-law-noise")
    (sweep,) = evidence.sweeps
    assert (
        set(evidence.trials["trial_id"]) == set(sweep.trials)
        and len(evidence.trials) == 92
        and not len(evidence.failures)
    )

    ten, thirty = (f.stability for f in fit_all(evidence.trials).kinds if "resampled" in f.kind)
    text = " ".join((ROOT / "docs" / "findings.md").read_text().split()).replace("−", "-")
    found = re.search(
        r"million parameters is (\S+) \((\S+) to (\S+)\) and (\S+) \((\S+) to (\S+)\):", text
    )

    assert found is not None
    assert [float(x) for x in found.groups()] == pytest.approx(
        [ten.slope, ten.low, ten.high, thirty.slope, thirty.low, thirty.high], abs=0.006
    )

    log = (ROOT / "LOG.md").read_text()
    for fit, row in ((ten, "10 % of the next bytes redrawn"), (thirty, "30 % redrawn")):
        stated = next(line for line in log.splitlines() if f"GPT, {row} |" in line)
        assert f"| {fit.slope:+.3f} ({fit.low:+.3f} to {fit.high:+.3f}), A |" in stated


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt-law", "gpt-law-recipes", "gpt-law-noise", "frontier"])
def test_the_trials_of_an_example_are_those_of_a_shipped_sweep(name: str):
    run = {trial for sweep in read_evidence(EXAMPLE.parent / name).sweeps for trial in sweep.trials}
    assert run <= {trial.trial_id for trial in load_sweep(name).trials}


@pytest.mark.slow
def test_the_findings_and_the_readme_state_the_slopes_of_gpts_over_eight_combinations():
    evidence = read_evidence(EXAMPLE.parent / "gpt-law")
    assert len(evidence.trials) == 160 and not len(evidence.failures)

    fits = fit_all(evidence.trials)
    at_noise, interpolated = fits.kinds
    slopes = [at_noise.stability, fits.slopes_of(RADIUS)[interpolated.kind]]
    ends = [[slope.slope, slope.low, slope.high] for slope in slopes]
    readme = " ".join((ROOT / "README.md").read_text().split())
    found = re.search(
        r"stability grows like p\^(\S+) \((\S+) to (\S+)\) and the training radius like"
        r" p\^(\S+) \((\S+) to (\S+)\), without a knee",
        readme,
    )
    assert found is not None
    assert [float(x) for x in found.groups()] == pytest.approx(sum(ends, []), abs=0.006)

    findings = (ROOT / "docs" / "findings.md").read_text()
    for words, slope in zip(("S, trained down", "training radius, trained"), slopes, strict=True):
        line = next(line for line in findings.splitlines() if words in line)
        stated = re.findall(r"[\d.]+", line.split("|")[2])
        assert [float(x) for x in stated] == pytest.approx(
            [slope.slope, slope.low, slope.high], abs=0.006
        )


@pytest.mark.slow
def test_the_findings_and_the_readme_state_the_slopes_over_recipes():
    trials = read_evidence(EXAMPLE.parent / "gpt-law-recipes").trials
    configs = trials["config_json"].map(json.loads)
    recipes = configs.map(lambda config: (config["lr"], config.get("weight_decay", 0.0)))
    slopes = {recipe: fit_all(own).kinds[0].stability for recipe, own in trials.groupby(recipes)}

    findings = (ROOT / "docs" / "findings.md").read_text().replace("−", "-")
    lines = {
        (0.001, 0.0): "| .001 |",
        (0.009, 0.0): "| .009 |",
        (0.003, 0.3): "weight decay of .3 |",
    }
    assert set(slopes) == set(lines)
    for recipe, words in lines.items():
        line = next(line for line in findings.splitlines() if words in line)
        stated = [float(x) for x in re.findall(r"[-+]?\d\.\d+", line.split("|")[2])]
        slope = slopes[recipe]
        assert stated == pytest.approx([slope.slope, slope.low, slope.high], abs=0.0006)

    readme = " ".join((ROOT / "README.md").read_text().split()).replace("−", "-")
    found = re.search(
        r"exponent is (\S+) \((\S+) to (\S+)\) at a third of the learning rate,"
        r" (\S+) \((\S+) to (\S+)\) at three times",
        readme,
    )
    assert found is not None
    both = [slopes[0.001, 0.0], slopes[0.009, 0.0]]
    ends = [end for slope in both for end in (slope.slope, slope.low, slope.high)]
    assert [float(x) for x in found.groups()] == pytest.approx(ends, abs=0.006)


@pytest.mark.slow
def test_the_findings_and_the_readme_state_the_exponent_of_the_frontier():
    evidence = read_evidence(EXAMPLE.parent / "frontier")
    assert len(evidence.frontier) == 255 and not len(evidence.failures)

    (fit,) = fit_frontier(radii(evidence))
    expected = [fit.dimension.slope, fit.dimension.low, fit.dimension.high]
    for page in (ROOT / "README.md", ROOT / "docs" / "findings.md"):
        text = " ".join(page.read_text().split()).replace("−", "-")
        found = re.search(r"goes as d\^(\S+) \((\S+) to (\S+)\)", text)
        assert found is not None
        assert [float(x) for x in found.groups()] == pytest.approx(expected, abs=0.006)

    text = " ".join((ROOT / "docs" / "findings.md").read_text().split())
    found = re.search(r"factor of (\S+) by a power of p/\(n·d\) and of (\S+) by one of p/n", text)
    assert found is not None
    misses = [fit.rivals.factor(form) for form in ("p/(n·d)", "p/n")]
    assert [float(x) for x in found.groups()] == pytest.approx(misses, abs=0.006)


@pytest.mark.slow
def test_the_findings_state_what_robustness_follows_along_the_ladder():
    """The table of exponents in the findings is that of the shipped rows, and so is its verdict."""
    evidence = read_evidence(EXAMPLE.parent / "gpt-ladder")
    (sweep,) = evidence.sweeps
    assert set(evidence.trials["trial_id"]) == set(sweep.trials) and len(evidence.trials) == 25
    asked = {trial.trial_id for trial in load_sweep("gpt-ladder").trials}
    assert set(sweep.trials) == asked and not len(evidence.failures)

    findings = (ROOT / "docs" / "findings.md").read_text().replace("−", "-").replace("\u2009", "")
    (ratio,) = token_ratios(evidence.trials)
    rows = ("stability S", "mean Jacobian norm", "response to a token replaced far back")
    for name, fit in zip(rows, ratio.fits, strict=True):
        assert not isinstance(fit.plane, str) and fit.plane.at_loss is not None
        assert fit.plane.follows == "cannot tell"
        line = next(x for x in findings.splitlines() if x.startswith(f"| {name} |"))
        stated = [float(x) for x in re.findall(r"[+-]\d+", line.replace(" ", ""))]
        expected = [
            100 * (10**end - 1)
            for own in (fit.plane.by_size, fit.plane.by_tokens, fit.plane.at_loss)
            for end in own
        ]
        assert stated == pytest.approx(expected, abs=0.6)
    assert "cannot be told whether robustness follows parameters, tokens" in " ".join(
        findings.split()
    )


@pytest.mark.slow
def test_the_findings_state_the_ladders_exponent_of_compute():
    (ladder,) = ladders(read_evidence(EXAMPLE.parent / "gpt-ladder"))
    text = " ".join((ROOT / "docs" / "findings.md").read_text().split())
    found = re.search(
        r"best N is (\S+) \((\S+) to (\S+)\) with all parameters and (\S+) \((\S+) to (\S+)\)"
        r" without",
        text,
    )
    assert found is not None
    expected = []
    for convention in ladder.conventions:
        assert not isinstance(convention.fit, str)
        expected += convention.fit.compute_exponent
    assert [float(x) for x in found.groups()] == pytest.approx(expected, abs=0.006)

    (caption, *_) = [own.caption for own in ladder.figure.drawings]
    assert "whether it grows cannot be told" in str(caption)
