"""`unilaw run --from PAGE.html`: the sweep that a report's page carries.

A page may come from anybody. Only the text of a sweep file is taken from it, which is plain data:
tasks of the maker's own must be named with --task-file by whoever runs them, files and the Hub are
read only for a user who asks for it, and rows go where no other sweep's are.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from harness.errors import UserError, did_you_mean
from harness.sweeps.messages import show
from harness.sweeps.registry import TaskRef, installed, load
from harness.sweeps.small_files import MAX_BYTES, read_small
from harness.sweeps.sweep import Sweep, entries_of, expand
from harness.sweeps.yaml_lines import Document, parse_document

BLOCK = "unilaw-sweeps"
"""The id of the page's block of JSON: a list of name and text of each sweep."""
MOST_BYTES = 200_000_000
MOST_NAMED = 5
"""Sources that a message names."""


def sweep_in_page(
    page: Path,
    name: str | None,
    from_file: dict[str, TaskRef],
    read_sources: bool,
    say: Callable[[str], None],
) -> Sweep:
    """Return the page's sweep of this name; None stands for the only one.

    Its rows go to runs/from-page/NAME, whatever its text says. Raise UserError for a file that is
    no such page, for a sweep that is not in it or not valid, for tasks that are neither installed
    nor in `from_file`, and, unless `read_sources`, for sources that are not a task's own.
    """
    texts = _sweeps_in(page)
    name = _chosen(name, texts, page)
    document = parse_document(texts[name], f"{page}, sweep {name}")
    _refuse_unknown_tasks(document, from_file)
    sources = _sources(document, from_file)
    if sources and not read_sources:
        raise UserError(
            f"{page}: the sweep '{name}' reads {_named(sources)}, and anybody may have written this"
            " page; --read-sources reads what it names"
        )

    sweep = expand(document, from_file, say)
    if sources:
        say(f"{page}: the sweep '{name}' reads {_named(sources)}")
    return replace(sweep, store=f"runs/from-page/{sweep.name}", store_where=str(page))


class _Block(HTMLParser):
    """The text of the first element with the id BLOCK."""

    def __init__(self) -> None:
        super().__init__()
        self.text: str | None = None
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script" and ("id", BLOCK) in attrs and self.text is None:
            self.text = ""
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside and self.text is not None:
            self.text += data


def _sweeps_in(page: Path) -> dict[str, str]:
    """Return the texts of the page's sweeps by name."""
    content = read_small(page, f"--from {page}", "a report's page", MOST_BYTES)
    block = _Block()
    block.feed(content.decode("utf-8", errors="replace"))
    if block.text is None:
        raise UserError(f"--from {page}: is no page of `unilaw report`: it carries no sweep")
    try:
        listed = json.loads(block.text)
        texts = {_text(sweep["name"]): _text(sweep["text"]) for sweep in listed}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"--from {page}: its list of sweeps cannot be read") from None
    if not texts:
        raise UserError(f"--from {page}: the store behind the page has no sweep file")
    return texts


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_BYTES:
        raise TypeError("a name and a text")
    return value


def _chosen(name: str | None, texts: dict[str, str], page: Path) -> str:
    if name is None and len(texts) == 1:
        return next(iter(texts))
    known = ", ".join(map(show, sorted(texts)))
    if name is None:
        raise UserError(f"--from {page}: the page has several sweeps; name one of {known}")
    if name not in texts:
        raise UserError(
            f"--from {page}: the page has no sweep {show(name)}; it has {known}"
            f"{did_you_mean(name, texts)}"
        )
    return name


def _refuse_unknown_tasks(document: Document, from_file: dict[str, TaskRef]) -> None:
    """Raise UserError for a task that only the page's maker has."""
    entries = document.value.get("tasks") if isinstance(document.value, dict) else None
    for k, entry in enumerate(entries if isinstance(entries, list) else []):
        task = entry.get("task") if isinstance(entry, dict) else None
        if isinstance(task, str) and task not in {*installed(), *from_file}:
            raise UserError(
                f"{document.where(('tasks', k, 'task'))}: the task {show(task)} is not installed,"
                " and a page carries no code; name the file that defines it with --task-file"
            )


def _sources(document: Document, from_file: dict[str, TaskRef]) -> list[str]:
    """Return the files and the names of the Hub that the sweep leads to, before any is read."""
    _, entries = entries_of(document, from_file)
    found: dict[str, None] = {}
    for cells in entries:
        task = load(cells.ref)
        for config in cells.configs():
            found |= dict.fromkeys(task.reads(config))
    return list(found)


def _named(sources: list[str]) -> str:
    named = ", ".join(map(show, sources[:MOST_NAMED]))
    further = len(sources) - MOST_NAMED
    return f"{named} and {further} more" if further > 0 else named
