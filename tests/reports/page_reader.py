"""Read the page, or one section of it, as tests need it: scripts, numbers, table cells and visible
text."""

import json
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

from reports.evidence import read_evidence
from reports.law import fit_evidence
from reports.sections.section import Section


def section_of(part: ModuleType, store: Path) -> Section | None:
    """Return what a module of `reports.sections` makes of the store: a fifth of the time that the
    whole page takes."""
    evidence = read_evidence(store)
    return part.section(evidence, fit_evidence(evidence))


HIDDEN = ("script", "style", "title", "svg")
"""Elements whose text is no prose."""


class Page(HTMLParser):
    """What the tests read from the HTML: scripts by id or key, <data> elements, table cells, and
    visible text."""

    def __init__(self, html: str):
        super().__init__()
        self.scripts, self.data, self.cells, self.text, self.links = {}, [], {}, [], []
        self._script = self._data = self._trial = self._column = None
        self._columns, self._in_head, self._place = [], False, -1
        self._hidden = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        loaded = ("src", "href", "action", "srcset") if tag != "a" else ()
        targets = [v for k, v in attrs if k in loaded]
        self.links += [target for target in targets if target and not target.startswith("#")]
        if tag == "script":
            self._script = a.get("data-key") or a.get("id") or "code"
        self._hidden += tag in HIDDEN
        if tag == "data":
            self._data = (a["data-key"], a["value"])
        if tag == "thead":
            self._columns = []
        self._in_head = tag == "th" and a.get("scope") == "col"
        if tag == "tr":
            self._trial = a.get("data-trial")
            self._place = -1
        if tag == "td" and self._trial:
            self._place += 1
            self._column = self._columns[self._place]

    def handle_endtag(self, tag):
        self._hidden -= tag in HIDDEN
        if tag == "script":
            self._script = None
        if tag == "td":
            self._column = None

    def handle_data(self, data):
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        elif self._data:
            self.data.append((*self._data, data))
            self._data = None
        elif self._column and self._trial:
            self.cells[self._trial, self._column] = data
        elif self._in_head:
            self._columns.append(data)
            self._in_head = False
        elif not self._hidden:
            self.text.append(data)

    def ledger(self) -> dict[str, dict[str, Any]]:
        """Return the ledger by key, each entry with the ids of its trials."""
        kept = json.loads(self.scripts["ledger"])
        sets = [
            [
                trial
                for part in text.split(",")
                for first, _, last in [part.partition("-")]
                for trial in kept["trials"][int(first) : int(last or first) + 1]
            ]
            for text in kept["sets"]
        ]
        return {
            n["key"]: {**n, "trials": [] if n["set"] is None else sets[n["set"]]}
            for n in kept["numbers"]
        }

    def prose(self) -> str:
        """Return the visible text with single spaces."""
        return " ".join(" ".join(self.text).split())
