"""A report leaves as page, Markdown, JSON or CSV, of one store or several, and says what it cannot
be.

Run alone: python -m pytest tests/reports/test_formats.py
"""

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import UserError
from harness.store.store import Store
from reports.command import format_of, make_report
from reports.evidence import read_evidence
from reports.formats.figures import KEYS
from reports.law import fit_all
from reports.measures import STABILITY
from tests.reports.stores import failed, make_store, power_law, row

pytestmark = pytest.mark.slow

B = 0.3
ODD = "a|b*c_d `e` <i>\n=1+1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = power_law(B, 0.2, 0.1, spread=0.05, ns=(100, 200, 400), ds=(8, 16))
    over = failed(p=7, trial_id="f" * 16, failure_message=ODD)
    return str(make_store(tmp_path_factory.mktemp("formats") / "made", [*rows, over]))


def test_json_has_the_fits_with_their_rows(store: str):
    found = json.loads(make_report([store], format="json"))
    assert set(found) - {"keys"} <= set(KEYS) and found["keys"] == KEYS
    assert found["stores"] == ["made"] and found["counts"]["failed"]["value"] == 1

    (slope,) = [s for s in found["slopes"] if s["measure"] == STABILITY and s["from"] == 1]
    (fitted,) = fit_all(read_evidence(store).trials).slopes_of(STABILITY).values()
    assert slope["slope"] == fitted.slope and slope["low"] < B < slope["high"]
    assert (slope["cells"], slope["curves"], slope["trials"]) == (30, 6, 60)
    assert {claim["key"] for claim in found["claims"]} >= {"C1", "C11"}
    assert found["answer"][0]["numbers"], "the answer names its numbers"


def test_markdown_states_the_same_figures(store: str):
    text = make_report([store], format="md")
    (fitted,) = fit_all(read_evidence(store).trials).slopes_of(STABILITY).values()
    (line,) = [one for one in text.splitlines() if "| stability, nearest label change" in one]
    assert (
        f"| {fitted.slope:+.2f} | {fitted.low:+.2f} to {fitted.high:+.2f} | 30 | 6 | 60 |" in line
    )
    assert "72 finished trials, 1 failed" in text and "Not tested by these rows: C1," in text


def test_csv_has_every_trial_with_all_digits(store: str):
    table = pd.read_csv(io.StringIO(make_report([store], format="csv"))).set_index("trial_id")
    rows = Store.open(store).read().rows.set_index("trial_id")
    assert set(table.index) == set(rows.index)
    assert table.loc[rows.index, "p"].equals(rows["p"])
    assert table.loc[rows.index, STABILITY].equals(rows[STABILITY])
    assert table["in_fit"].eq(True).sum() == 60
    assert table.loc["f" * 16, "failure_message"] == ODD


def test_a_text_like_a_formula_is_none(tmp_path: Path):
    folder = make_store(tmp_path / "store", [row(10, family="=1+1"), row(20, family="-x")])
    table = pd.read_csv(io.StringIO(make_report([str(folder)], format="csv")))
    assert sorted(table["family"]) == ["'-x", "'=1+1"]


def test_what_a_user_names_is_no_markdown(tmp_path: Path):
    folder = make_store(tmp_path / "store", power_law(B, changes={"family": ODD}))
    text = make_report([str(folder)], format="md")
    assert r"a\|b\*c\_d \`e\` \<i\> =1+1" in text and "<i>" not in text


@pytest.mark.parametrize(
    ("name", "format", "chosen"),
    [
        (None, None, "html"),
        (None, "csv", "csv"),
        ("x.md", None, "md"),
        ("x.HTM", None, "html"),
        ("x.json", "json", "json"),
        ("x", "csv", "csv"),
        ("x", None, "html"),
    ],
)
def test_the_format_is_the_files_or_the_one_named(
    name: str | None, format: str | None, chosen: str
):
    assert format_of(Path(name) if name else None, format) == chosen


@pytest.mark.parametrize(
    ("name", "format", "words"),
    [
        ("x.pdf", None, "'x.pdf' would be .pdf by its name.*ends with .html, .md, .json or .csv"),
        ("x.xlsx", "csv", "would be .xlsx by its name"),
        ("x.md", "csv", "--format csv and the file 'x.md' do not go together"),
        (None, "htlm", "--format 'htlm': must be html, md, json or csv; did you mean 'html'"),
    ],
)
def test_another_format_is_refused_by_name(name: str | None, format: str | None, words: str):
    with pytest.raises(UserError, match=words):
        make_report(["nowhere"], Path(name) if name else None, format)


def test_a_store_without_rows_is_refused(tmp_path: Path):
    folder = make_store(tmp_path / "store", [])
    with pytest.raises(UserError, match="holds no rows yet, so there is nothing to report"):
        make_report([str(folder)])
    assert not (folder / "_report.html").exists()


# Several stores


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    """Two stores of one name, with different trials and one in common."""
    first = [row(10), row(20)]
    second = [row(20, stability=0.7, finished_at=pd.Timestamp("2031-01-01", tz="UTC")), row(40)]
    return str(make_store(tmp_path / "a/rows", first)), str(make_store(tmp_path / "b/rows", second))


def test_the_rows_of_several_stores_are_one_report(two: tuple[str, str]):
    evidence = read_evidence(*two)
    assert evidence.trials.set_index("p")["store"].to_dict() == {
        10: "rows",
        20: "rows (2)",
        40: "rows (2)",
    }
    newest = evidence.trials.set_index("p").loc[20, STABILITY]
    assert newest == 0.7, "a trial of both counts with its newest row"


def test_the_page_names_the_stores_and_the_conditions(
    two: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert make_report(list(two), where=["p<40"]) == "report: rows+rows (2).html"
    html = Path("rows+rows (2).html").read_text()
    assert "Rows of the stores rows and rows (2)." in html
    assert "Only trials with p&lt;40; left out: " in html
    assert '<th scope="col">store</th>' in html and "<td>rows (2)</td>" in html


def test_one_store_given_twice_is_refused(two: tuple[str, str]):
    with pytest.raises(UserError, match="is named twice"):
        read_evidence(two[0], f"{two[0]}/../rows")
