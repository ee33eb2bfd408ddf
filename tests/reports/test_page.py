"""The page as a whole: its numbers are in the ledger, it is correct for small stores, escaped, and
free of network requests.

Run alone: python -m pytest tests/reports/test_page.py
"""

import json
import subprocess
import sys

import pytest

from harness.errors import UserError
from harness.store.store import Store, SweepRecord
from reports.command import make_report
from reports.evidence import read_evidence
from reports.page import render
from tests.reports.language_rows import language_row, pretrained_row, text_row
from tests.reports.ledger import GROUPS, group_of
from tests.reports.page_reader import Page
from tests.reports.rich_store import HOLLOW
from tests.reports.stores import failed, make_store, power_law, row


@pytest.mark.slow
def test_every_number_in_the_prose_is_in_the_ledger_and_some_section_recomputes_it(rich):
    page, _ = rich
    ledger = page.ledger()
    assert len(page.data) > 60
    for key, value, _ in page.data:
        assert key in ledger and (ledger[key]["value"] == float(value)), key
    recomputed = {group for groups in GROUPS.values() for group in groups}
    assert {group_of(key) for key in ledger} == recomputed


THIN = {
    "nothing": [],
    "one trial": [row()],
    "only failures": [failed(p=p) for p in (1, 2, 3)],
    "one curve above the noise": [
        row(p, stop_reason="epoch_cap", **HOLLOW) for p in (1, 2, 3, 4, 5)
    ],
    "one class family": [
        row(p, outputs=10, sigma2=None, bayes_error=0.3, noise_kind="label_resample", eta=0.3)
        for p in (10, 20, 30, 40, 50)
    ],
    "zero stability": [row(p, stability=0.0, lipschitz=0.0) for p in (10, 20, 30, 40, 50, 60)],
    "models trained elsewhere": [pretrained_row(p) for p in (100, 200, 300)],
    "a single pass, without sensitivity": [
        language_row(w, 6400, 3.0) for w in (8, 16, 32, 64, 128)
    ],
    "text without sizes": [text_row(10), text_row(20, token_changes=[], noise_kl=None)],
    "unknown stability": [
        row(p, stability_first_order_mean=float("nan")) for p in (10, 20, 30, 40, 50, 60)
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("rows", THIN.values(), ids=THIN.keys())
def test_small_stores_give_a_correct_page(tmp_path, rows):
    page = Page(render(read_evidence(make_store(tmp_path / "store", rows))))
    prose = " ".join(" ".join(page.text).split())
    counts = {key: float(value) for key, value, _ in page.data}
    assert counts["count:ok"] == sum(r["status"] == "ok" for r in rows)
    assert counts.get("count:failed", 0) == sum(r["status"] == "failed" for r in rows)
    assert "nan" not in prose.lower().split()
    silent = ("No answer for", "nothing to fit", "the law's order is not tested here")
    assert any(words in prose for words in silent) or len(rows) > 4
    for key, text in page.scripts.items():
        if key != "code":
            json.loads(text)


@pytest.mark.slow
def test_an_empty_folder_gives_a_page(tmp_path):
    assert "No trial in this store has finished" in render(read_evidence(tmp_path))


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.mark.slow
def test_whatever_a_user_can_name_is_escaped(tmp_path):
    rows = [row(p, family=HOSTILE, settings={"note": HOSTILE}) for p in (1, 2, 3, 4, 5, 6)] + [
        failed(p=9, failure_message=HOSTILE, task=HOSTILE)
    ]
    folder = make_store(tmp_path / "store", rows, sweep=False)
    Store(folder).put_sweep(
        SweepRecord(
            name="made", text=HOSTILE, task_source=HOSTILE, trials={rows[0]["trial_id"]: HOSTILE}
        )
    )
    html = render(read_evidence(folder))

    assert "<script>alert" not in html and "<img" not in html
    assert HOSTILE not in html
    # The script of the page writes the texts of a trial as text, never as HTML.
    texts = json.loads(Page(html).scripts["trial-texts"])["trials"][rows[0]["trial_id"]]
    assert HOSTILE in texts[0]
    assert "innerHTML" not in html and "insertAdjacentHTML" not in html


@pytest.mark.slow
def test_the_page_asks_the_network_for_nothing(rich):
    page, _ = rich
    assert [link for link in page.links if not link.startswith("data:image/png;")] == []


@pytest.mark.slow
def test_the_report_needs_neither_torch_nor_ray(tmp_path):
    folder = make_store(tmp_path / "store", power_law(0.2))
    code = (
        "import sys; from pathlib import Path; from reports.command import make_report; "
        f"make_report([{str(folder)!r}], Path({str(tmp_path / 'r.html')!r})); "
        "print([m for m in ('torch', 'ray', 'transformers', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_report_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path):
    folder = make_store(tmp_path / "store", [row()])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        make_report([str(folder)], tmp_path / "file" / "r.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "store"]
