"""`unilaw fit` on a planted table: the text, the files and the JSON say the same, what the rows
cannot tell comes first, and what a user names stays text.

Run alone: python -m pytest tests/reports/scaling/test_table_fit.py
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import unilaw
from harness.errors import UserError
from reports.scaling.figures import KEYS
from reports.scaling.number import number
from reports.scaling.table_fit import TableFit, fit_table
from reports.scaling.words import blocks, first
from reports.scaling.written import as_json, written
from tests import ROOT
from tests.reports.scaling.planted import planted

TRUTH = {"E": 1.8, "A": 400.0, "B": 1500.0, "alpha": 0.34, "beta": 0.36}
TABLE = ROOT / "docs" / "planted.csv"
CURVE = {
    "x": [10.0 * 2**i for i in range(12)],
    "loss": [3 * (10.0 * 2**i) ** -0.3 for i in range(12)],
}
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def fitted() -> TableFit:
    return fit_table(TABLE, ["chinchilla"], where=["loss<5"], budget=1e20)


@pytest.fixture(scope="module")
def curve() -> TableFit:
    return unilaw.fit(CURVE, "power", budget=1e20)


@pytest.mark.slow
def test_the_truth_is_within_its_intervals(fitted: TableFit):
    for key, truth in TRUTH.items():
        assert fitted[key].low < truth < fitted[key].high, key
    assert fitted["compute_exponent"].low < 0.36 / 0.70 < fitted["compute_exponent"].high
    n, d = fitted.best_split(1e20).N.value, fitted.best_split(1e20).D.value
    assert 6 * n * d == pytest.approx(1e20)
    np.testing.assert_allclose(fitted.predict(N=2e9, D=1e11), 2.2381, rtol=0.01)


@pytest.mark.slow
def test_the_text_says_what_it_rests_on(fitted: TableFit):
    text = " ".join(str(fitted).split())
    for said in (
        "chinchilla, L = E + A/N^α + B/D^β",
        "N is 'params', D is 'tokens', the measure is 'loss', recognised by their names",
        "Filter: loss<5.",
        "sum of Huber's loss, δ = 0.001, of log residuals",
        "12 rows, 12 different points; params 2e7 to 2e9, tokens 1e9 to 1e11",
        "Best split of 1e20 FLOPs by chinchilla",
        "closest to the 3 points of largest params·tokens, which were held out: it misses them",
    ):
        assert said in text, said
    named = set(fitted.audit.fits) | set(fitted.audit.failures)
    assert {"chinchilla", "chinchilla-tied", "kaplan", "farseer"} <= named
    assert all(name in text for name in named)


@pytest.mark.slow
def test_a_form_that_is_asked_for_is_not_called_the_best(fitted: TableFit):
    (other,) = {"chinchilla", "chinchilla-tied"} - {fitted.audit.headline}
    asked = replace(fitted, asked=(other,))
    opening = " ".join(first(asked))
    assert f"{fitted.audit.headline} comes closest to the 3 points" in opening
    assert f"the rest is about {other}, which misses them by" in opening


@pytest.mark.slow
def test_a_form_without_points_enough_is_no_candidate():
    """On 16 points farseer misses the held-out runs least, by luck."""
    inputs, y, _ = planted("farseer")
    few = np.ix_([0, 2, 4, 6], [0, 2, 4, 6])
    table = {role: values.reshape(7, 7)[few].ravel() for role, values in inputs.items()}
    noise = np.exp(0.002 * np.random.default_rng(0).standard_normal(16))
    found = fit_table(table | {"loss": y.reshape(7, 7)[few].ravel() * noise})
    held = {judged.form: judged for judged in found.audit.held_out}
    note = "13 points are left for 9 parameters"
    assert held["farseer"].error < held[found.form].error and held["farseer"].note == note

    text = " ".join(str(found).split())
    assert f"Of 4 forms with points enough, {found.audit.headline} comes closest" in text
    assert f"no candidate: {note}" in text and "farseer are not told" not in text
    assert found.audit.why in text
    asked = " ".join(first(replace(found, asked=("farseer",))))
    assert f"and is no candidate: {note}." in asked


@pytest.mark.slow
def test_json_has_every_figure_and_explains_its_keys(fitted: TableFit):
    found = json.loads(as_json(fitted))
    assert set(found) == {*KEYS, "keys"}
    stated = found["fits"]["chinchilla"]["parameters"]["alpha"]
    assert (stated["value"], stated["low"]) == (fitted["alpha"].value, fitted["alpha"].low)
    assert found["table"]["where"] == ["loss<5"] and found["table"]["rows"] == 12
    assert {held["form"] for held in found["held_out"]} == set(fitted.audit.fits)


@pytest.mark.slow
def test_every_kind_of_file_is_written_whole(fitted: TableFit, tmp_path: Path):
    content = {}
    for suffix, beginning in {
        "html": b"<!doctype html>",
        "md": b"# chinchilla fitted to the table 'planted.csv'",
        "json": b"{",
        "svg": b"<?xml",
        "png": b"\x89PNG",
    }.items():
        path = tmp_path / "new" / f"fit.{suffix}"
        assert written(fitted, path) == str(path)
        content[suffix] = path.read_bytes()
        assert content[suffix].lstrip().startswith(beginning), suffix
    assert json.loads(content["json"]) == json.loads(as_json(fitted))
    # The page says what the terminal says, and asks the network for nothing.
    page = content["html"].decode().replace("\N{NO-BREAK SPACE}", " ")
    assert "://" not in re.sub(r"http://www\.w3\.org/\d+/\w+", "", page) and "<script" not in page
    assert all(sentence.split("(")[0] in page for sentence in first(fitted))
    # The picture stands between the opening sentences and the first table.
    exponents = page.index(list(first(fitted))[-1].split("(")[0])
    assert exponents < page.index("<svg") < page.index("<table")
    assert "<code>--cluster</code>" in page, "an option is not broken over two lines"
    with pytest.raises(UserError, match=r"must end with .html, .md, .json, .svg or .png"):
        written(fitted, tmp_path / "fit.pdf")


@pytest.mark.slow
def test_names_of_columns_and_clusters_stay_text(tmp_path: Path):
    x = np.geomspace(10, 1e4, 12)
    table = pd.DataFrame(
        {EVIL: x, "l|o*s": 3 * x**-0.3, "run\x1b[31m": [EVIL + str(i % 6) for i in range(12)]}
    )
    found = fit_table(table, ["power"], [f"X={EVIL},Y=l|o*s"], cluster="run\x1b[31m")
    page, notes = tmp_path / "fit.html", tmp_path / "fit.md"
    written(found, page)
    written(found, notes)
    assert "<script" not in page.read_text() and "&lt;script&gt;" in page.read_text()
    assert "l\\|o\\*s" in notes.read_text() and "\\<script" in notes.read_text()
    assert "\x1b" not in str(found)


@pytest.mark.slow
def test_few_rows_are_told_first():
    x = np.geomspace(10, 1e4, 6)
    found = fit_table({"x": x, "loss": 1 + 3 * x**-0.3})
    opening = next(first(found))
    assert opening.startswith("These rows do not settle the curve:")
    assert "no 95 % interval" in opening
    assert str(found).startswith("These rows do not settle the curve:")
    assert found.to_frame()["low"].isna().all()


@pytest.mark.slow
def test_a_budget_without_a_split_is_a_sentence_and_loses_nothing(curve: TableFit):
    assert "No best split." in str(curve) and "power, y = A·x^b:" in str(curve)
    assert json.loads(as_json(curve))["optimum"]["failure"]


@pytest.mark.slow
def test_every_block_has_something_to_say(curve: TableFit):
    for block in blocks(curve):
        assert block and (isinstance(block, str) or block[-1])


@pytest.mark.slow
def test_the_command_is_the_function(unilaw_here, tmp_path: Path, curve: TableFit):
    pd.DataFrame(CURVE).to_csv(tmp_path / "runs.csv", index=False)
    options = ("--form", "power", "--budget", "1e20", "--json", "-o", "fit.md")
    done = unilaw_here("fit", "runs.csv", *options, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "fit: fit.md\n")
    printed, found = json.loads(done.stdout), json.loads(as_json(curve))
    assert printed["table"].pop("name") == "the table 'runs.csv'" and found["table"].pop("name")
    assert printed == found
    assert "# power fitted to the table 'runs.csv'" in (tmp_path / "fit.md").read_text()
    assert curve["b"].value == pytest.approx(-0.3, abs=1e-6)


REFUSED = [
    (["--form", "chinchila"], "did you mean 'chinchilla'?"),
    (["--form", "chinchilla"], "the form needs N (parameters); name its column"),
    (["--loss", "hubert"], "loss: 'hubert' is none of huber, squared; did you mean 'huber'?"),
    (["--delta", "0"], "delta: 0 is not above 0"),
    (["--columns", "X=y"], "the table 'runs.csv' has no column 'y' for X"),
    (["-o", "fit.pdf"], "must end with .html"),
    (["--where", "loss>9"], "none of the 2 rows fits"),
]


@pytest.mark.parametrize("options,sentence", REFUSED, ids=lambda v: str(v)[:20])
def test_a_mistake_is_one_sentence_and_code_2(unilaw_here, tmp_path: Path, options, sentence):
    (tmp_path / "runs.csv").write_text("x,loss\n1,2\n3,1\n")
    done = unilaw_here("fit", "runs.csv", *options, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("unilaw: ") and sentence in line


@pytest.mark.parametrize(
    "value,text",
    [
        (0.34781, "0.3478"),
        (-2143.4, "−2143"),
        (1.02e21, "1.02e21"),
        (21384.0, "2.14e4"),
        (9999.4, "9999"),
        (3e-5, "3e−5"),
        (0, "0"),
        (np.inf, "∞"),
        (np.nan, "–"),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert number(value) == text
