"""A page can be mailed: it holds no path, user, machine or bucket of its maker.

Run alone: python -m pytest tests/reports/test_mailable.py
"""

import json
from pathlib import Path

import pytest

from harness.store.store import Store, SweepRecord
from reports import mailable as module
from reports.evidence import read_evidence
from reports.mailable import mailable
from reports.page import render
from tests.reports.stores import failed, make_store, row

HOME = "/home/ada-lovelace"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(module.getpass, "getuser", lambda: "ada-lovelace")
    monkeypatch.setattr(module.socket, "gethostname", lambda: "turing-9")
    return Store(make_store(tmp_path / "results", [row()], sweep=False))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"No such file: {HOME}/data/digits.npz", "No such file: …/digits.npz"),
        (f"source: text:{HOME}/books/one.txt", "source: text:…/one.txt"),
        (f"File &quot;{HOME}/unilaw/x.py&quot;, line 3", "File &quot;…/x.py&quot;, line 3"),
        (f'"a\\n{HOME}/x.py\\nb"', '"a\\n…/x.py\\nb"'),
        ("/home/j\\u00f6rg/x.py", "…/x.py"),
        (r"C:\Users\Ada\x.py", "…/x.py"),
        ("s3://secret-bucket/rows?endpoint=http://10.0.0.7", "…"),
        ("gs://secret-bucket/rows, and more", "… and more"),
        ("the node 10.0.0.7 died (ip-10-0-0-7.internal)", "the node … died (…)"),
        ("ssh ada-lovelace@turing-9 refused", "ssh …@… refused"),
    ],
)
def test_places_are_taken_out(store, text, expected):
    assert mailable(text, store) == expected


@pytest.mark.parametrize(
    "text",
    [
        "p/(n·d) and √(p/(n·d)), ceiling / S, r* / r∞, 1/2",
        '<a href="https://arxiv.org/abs/2105.12806">arxiv.org/abs/2105.12806</a></li><br/>',
        "hub:openai-community/gpt2@main, ./data/x.txt and ~/data/x.txt, version 2.13.0.1",
        "data:image/png;base64,/9j/4AAQSk/home/ada/x+/ab/cd==",
        'M178 0 C150 34 214 70 176 132"/><path d="M1 2"/>',
    ],
)
def test_everything_else_stays(store, text):
    assert mailable(text, store) == text


def test_the_stores_own_place_becomes_its_name(store):
    assert mailable(f"cannot read {store.where}/part-1.parquet", store) == (
        "cannot read runs/results/part-1.parquet"
    )


@pytest.mark.slow
def test_the_page_holds_no_place_of_its_maker(store):
    """Planted in every text that a row, a record or a file name brings to the page."""
    places = f"{HOME}/src s3://secret-bucket/rows ada-lovelace@turing-9 10.1.2.3"
    where = {"source": f"text:{HOME}/books/one.txt"}
    rows = [row(p, settings=where, attack_warnings=[places], cpu=places) for p in (2, 3, 4)]
    rows[0] |= {"lip_upper_note": places, "environment_json": json.dumps({"X": places})}
    store.append(
        [
            *rows,
            failed(p=9, failure_message=f"Traceback\n  {places}", config_json=json.dumps(where)),
        ]
    )
    (Path(store.where) / "part-torn.parquet").write_text("torn")
    trials = dict.fromkeys((r["trial_id"] for r in rows), "other")
    store.put_sweep(
        SweepRecord(name="made", text=f"# {places}\n", task_source=f"# {places}\n", trials=trials)
    )

    html = render(read_evidence(store.where))
    assert "part-torn.parquet" in html and "one.txt" in html and "unilaw run made.yaml" in html
    for secret in ("ada-lovelace", "turing-9", "secret-bucket", "10.1.2.3", "/home", store.where):
        assert secret not in html, html[max(0, html.find(secret) - 200) :][:300]
