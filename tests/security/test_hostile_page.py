"""No text of a store, whoever wrote it, becomes an element of the page.

Run alone: python -m pytest tests/security/test_hostile_page.py
"""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.store.column import STR
from harness.store.schema import COLUMNS
from harness.store.store import Store, SweepRecord
from reports.evidence import read_evidence
from reports.page import render
from tests.reports.stores import failed, make_store, power_law

pytestmark = pytest.mark.slow

MARK = "<img src=x onerror=alert(1)>"

HOSTILE = f"\"'></script><script></script><a href='https://evil.example'>{MARK}</a>"
"""A text that would end an attribute and a script, and begin a script, a link and an image."""


class Elements(HTMLParser):
    """Every element's name and attributes' names, and the text of scripts that run."""

    def __init__(self, html: str):
        super().__init__()
        self.seen: set[tuple[str, tuple[str, ...]]] = set()
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add((tag, tuple(sorted(name for name, _ in attrs))))
        self.links += [
            value or ""
            for name, value in attrs
            if name in ("src", "href", "action", "srcset", "formaction")
            and not (value or "").startswith(("#", "data:application/yaml;base64,"))
        ]


TEXTS = [
    c.name
    for c in COLUMNS
    if c.type == STR
    and c.name
    not in (
        "status",
        "failure_kind",
        "config_json",
        "settings_json",
        "stop_rule",
        "stop_reason",
        "trial_id",
        "environment_json",
    )
]
"""Columns of text that may hold anything; the others decide how a row is read."""


def page_that_says(folder: Path, text: str) -> str:
    """The page of a store that has `text` in every place that a user, or a stranger, can fill."""
    rows = power_law(0.2) + [failed(p=7, failure_message=text)]
    for r in rows:
        ok = r["status"] == "ok"
        r |= {name: text for name in TEXTS if ok or name in r}
        r |= {
            "config_json": json.dumps(
                {
                    **json.loads(r["config_json"]),
                    text: text,
                    "adversary": text,
                    "adversary_radius": text,
                }
            )
        }
        if ok:
            r |= {"failure_kind": None, "failure_message": None}
            r |= {
                "attack_warnings": [text],
                "pictures": [{"label": text, "before": text, "after": text, "distance": 0.1}],
            }
            r |= {
                "corruptions": [
                    {
                        "kind": text,
                        "severity": 3,
                        "size": 1.0,
                        "accuracy": 0.5,
                        "accuracy_se": 0.1,
                        "flip_rate": 0.1,
                    }
                ]
            }
    store = Store.open(make_store(folder, rows, sweep=False))
    store.put_sweep(
        SweepRecord(name="made", text=text, task_source=text, trials={rows[0]["trial_id"]: text})
    )
    return render(read_evidence(folder))


@pytest.fixture(scope="module")
def harmless(tmp_path_factory) -> Elements:
    """What the page consists of when nobody means ill."""
    return Elements(page_that_says(tmp_path_factory.mktemp("harmless") / "store", "harmless"))


def test_no_text_of_any_column_becomes_an_element_of_the_page(tmp_path: Path, harmless: Elements):
    html = page_that_says(tmp_path / "hostile", HOSTILE)
    found = Elements(html)
    assert found.seen == harmless.seen
    assert found.links == harmless.links == ["https://arxiv.org/abs/2105.12806"]
    assert MARK not in html and "&lt;img" in html, "the text is not on the page at all"
