"""`unilaw status --watch` and `--json`: a store that fills while somebody looks, on a clock of the
test's own.

Run alone: python -m pytest tests/terminal/test_watch.py
"""

import json
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.store.records import SweepRecord
from harness.store.store import Store
from harness.terminal.watch import CLEAR, Shown, watch
from tests.reports.stores import failed, make_store, row


def watched(looks: list[Shown | UserError], in_terminal: bool = False) -> tuple[list[str], list]:
    """Return what is written while each look finds the next of `looks`, and the seconds slept."""
    waiting = list(looks)
    written: list[str] = []
    slept: list[float] = []

    def look() -> Shown:
        found = waiting.pop(0)
        if isinstance(found, UserError):
            raise found
        return found

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if not waiting:
            raise KeyboardInterrupt

    watch(look, written.append, 5.0, in_terminal, sleep)
    assert not waiting
    return written, slept


def test_it_ends_by_itself_when_nothing_is_left():
    written, slept = watched([Shown("2 left", False), Shown("0 left", True)])
    assert written == ["2 left", "0 left"] and slept == [5.0]


def test_it_ends_with_ctrl_c_and_no_error():
    written, _ = watched([Shown("2 left", False)] * 3)
    assert written == ["2 left"], "elsewhere than in a terminal, only changes are written"


def test_a_terminal_is_written_anew():
    written, _ = watched([Shown("2 left", False)] * 3, in_terminal=True)
    assert len(written) == 3
    assert all(text.startswith(f"{CLEAR}2 left\n") for text in written)
    assert all("Ctrl-C ends the watch" in text for text in written)


def test_a_bucket_that_does_not_answer_is_looked_at_again():
    written, _ = watched([Shown("2 left", False), UserError("no answer"), Shown("1 left", False)])
    assert written == ["2 left", "no answer; looking again in 5 s", "1 left"]


def test_a_store_that_cannot_be_read_at_first_is_refused():
    with pytest.raises(UserError, match="no store"):
        watched([UserError("there is no store")])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a store with one trial done, one failed and one left."""
    rows = [row(10), failed(p=20)]
    folder = make_store(tmp_path / "store", rows, sweep=False)
    trials = {r["trial_id"]: "sphere" for r in rows} | {"f" * 16: "sphere"}
    record = SweepRecord(name="small", text="", task_source=None, trials=trials)
    Store.open(folder).put_sweep(record)
    return Path(folder)


def test_status_as_json(store: Path, unilaw_here):
    done = unilaw_here("status", store, "--json", cwd=store.parent)
    found = json.loads(done.stdout)
    assert found["tasks"] == [{"task": "sphere", "done": 1, "failed": {"bug": 1}, "left": 1}]
    assert (found["rows"], found["replaced"], found["problems"]) == (2, 0, [])


def test_the_command_watches_until_nothing_is_left(
    store: Path, unilaw_here, monkeypatch: pytest.MonkeyPatch
):
    last = {**row(30), "trial_id": "f" * 16}
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        Store.open(store).append([last])

    monkeypatch.setattr("harness.commands.status.time.sleep", sleep)
    done = unilaw_here("status", store, "--watch", "--every", 2, "--json", cwd=store.parent)
    looks = [json.loads(line)["tasks"][0] for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [(look["done"], look["left"]) for look in looks] == [(1, 1), (2, 0)]
    assert slept == [2.0]
