"""The table of a large store: what is plain HTML, what is data, and what the script makes of it in
a browser.

Run alone: python -m pytest tests/reports/test_trial_table.py
"""

import html
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from reports.evidence import Evidence, read_evidence
from reports.law import Fits
from reports.measures import STABILITY
from reports.sections import trials
from reports.sections.section import read_template
from tests.reports.page_reader import Page
from tests.reports.stores import failed, make_store, row

pytestmark = pytest.mark.slow

NO_FITS = Fits([], {}, [])
ROWS = 350
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """ROWS trials in cells of two seeds; their stability falls with p."""
    rows = [
        row(1000 + k // 2, 100, 10, k % 2, stability=1.23456 / (1000 + k), flops=1e9 + k)
        for k in range(ROWS)
    ]
    rows[7] |= {"stop_reason": "epoch_cap", "below_noise": False}
    rows[9]["bits_per_byte"] = 0.00012345
    folder = tmp_path_factory.mktemp("table") / "store"
    return read_evidence(make_store(folder, [*rows, failed(p=7, trial_id="f" * 16)]))


def page_of(evidence: Evidence) -> Page:
    return Page(str(trials.section(evidence, NO_FITS).html))


def columns_of(page: Page) -> dict[str, list[object]]:
    """Return the columns of the rows that are data, with the texts that codes stand for."""
    return {
        column["name"]: column["values"]
        if "values" in column
        else [column["texts"][code] for code in column["codes"]]
        if "codes" in column
        else column["texts"]
        for column in json.loads(page.scripts["trials-data"])
    }


def test_every_trial_is_plain_or_data_and_stored_once(evidence: Evidence):
    page = page_of(evidence)
    plain = [trial for trial, column in page.cells if column == "trial_id"]
    data = columns_of(page)
    assert len(plain) == trials.PLAIN_ROWS and len(data["trial_id"]) == ROWS - trials.PLAIN_ROWS
    assert sorted(map(str, [*plain, *data["trial_id"]])) == sorted(evidence.trials["trial_id"])

    rows = evidence.trials.set_index("trial_id").loc[data["trial_id"]]
    assert data["p"] == rows["p"].tolist()
    assert data[STABILITY] == pytest.approx(rows[STABILITY].tolist(), rel=5e-4)
    assert set(data["bits_per_byte"]) == {None} and set(data["kind"]) == set(rows["kind"])


def test_a_small_store_has_no_data_beside_its_rows(evidence: Evidence):
    few = page_of(evidence._replace(trials=evidence.trials.head(trials.ALL_PLAIN)))
    assert len({trial for trial, _ in few.cells}) == trials.ALL_PLAIN
    assert not any(columns_of(few).values())


def test_beyond_the_limit_the_table_has_a_line_for_each_cell(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trials, "MOST_ROWS", 349)
    page = page_of(evidence)
    assert ("count:cells", "175.0", "175") in page.data
    assert "unilaw report STORE --format csv" in page.prose() and "first 349" not in page.prose()

    means = trials.cell_means(evidence.trials).set_index("p")
    own = evidence.trials[evidence.trials["p"].eq(1003)]
    assert means.loc[1003, "trials"] == 2
    assert means.loc[1003, STABILITY] == pytest.approx(own[STABILITY].mean())
    assert means.loc[1003, "stop_reason"] == "several" and means.loc[1003, "below_noise"] == "some"
    assert means.loc[1004, "below_noise"] == "yes"

    monkeypatch.setattr(trials, "MOST_ROWS", 100)
    assert "The first 100 lines are shown" in page_of(evidence).prose()


CLICKS = """
const wait = ms => new Promise(done => setTimeout(done, ms));
const at = id => document.getElementById(id);
const names = [...document.querySelectorAll("th")].map(head => head.textContent);
const shown = column => [...document.querySelectorAll("tbody tr")]
  .map(row => row.cells[names.indexOf(column)].textContent);
const head = name => [...document.querySelectorAll("th button")].find(b => b.textContent === name);
const search = words => {
  at("filter").value = words;
  at("filter").dispatchEvent(new Event("input"));
};
addEventListener("load", async () => {
  document.querySelector("details").open = true;
  await wait(300);
  const seen = {};
  seen.first = [shown("p").length, at("trial-count").textContent, at("trial-back").disabled];
  for (let k = 0; k < 3; k++) at("trial-on").click();
  seen.last = [shown("p").length, at("trial-count").textContent, at("trial-on").disabled];
  seen.figures = shown("stability_attack_mean").slice(-1);
  head("p").click(); head("p").click();
  seen.descending = [shown("p")[0], shown("p").length, at("trial-count").textContent,
    head("p").closest("th").getAttribute("aria-sort")];
  head("bits_per_byte").click();
  seen.known_first = shown("bits_per_byte").slice(0, 2);
  const clock = performance.now();
  search("EPOCH_cap sphere");
  seen.milliseconds = performance.now() - clock;
  seen.found = [shown("stop_reason"), at("trial-count").textContent];
  search("no such words");
  seen.none = [shown("p").length, at("trial-count").textContent];
  search("");
  let made = null;
  HTMLAnchorElement.prototype.click = () => {};
  URL.createObjectURL = blob => { made = blob; return "blob:made"; };
  at("trial-csv").click();
  seen.csv = await made.text();
  at("result").textContent = JSON.stringify(seen);
});
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; CI installs it")
def test_the_table_sorts_searches_turns_pages_and_leaves_as_csv(evidence: Evidence, tmp_path: Path):
    section = trials.section(evidence, NO_FITS).html
    page = tmp_path / "page.html"
    script = read_template("trials.js")
    page.write_text(
        f'<!doctype html><meta charset="utf-8">{section}<pre id="result"></pre>'
        f"<script>{script}</script><script>{CLICKS}</script>"
    )
    command = [
        str(CHROMIUM),
        *"--headless --no-sandbox --disable-gpu --disable-quic --no-first-run".split(),
        *"--disable-background-networking --disable-component-update --disable-sync".split(),
        f"--user-data-dir={tmp_path / 'profile'}",
        *"--enable-logging=stderr --virtual-time-budget=10000 --dump-dom".split(),
    ]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120)
    result = re.search(r'<pre id="result">(.+?)</pre>', done.stdout, re.S)
    assert result is not None, done.stderr[-2000:]
    seen = json.loads(html.unescape(result[1]))

    assert seen["first"] == [100, "rows 1 to 100 of 350", True]
    assert seen["last"] == [50, "rows 301 to 350 of 350", True]
    assert seen["figures"] == [trials.cell_text(1.23456 / 1349, False)]
    assert seen["descending"] == ["1,174", 100, "rows 1 to 100 of 350", "descending"]
    assert seen["known_first"] == [trials.cell_text(0.00012345, False), ""]
    assert seen["found"] == [["epoch_cap"], "rows 1 to 1 of 1"]
    assert seen["none"] == [0, "no row contains these words"]
    csv = pd.read_csv(io.StringIO(seen["csv"])).set_index("trial_id")
    expected = evidence.trials.set_index("trial_id")
    assert len(csv) == ROWS and csv["p"].to_dict() == expected["p"].to_dict()
    assert csv["bits_per_byte"].notna().sum() == 1
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
