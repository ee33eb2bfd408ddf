"""Runs of the same trials at once do not train what another has finished.

Run alone: python -m pytest tests/dispatch/test_rivals.py
"""

from collections import deque
from pathlib import Path

import pytest

from harness.dispatch import rivals as rivals_module
from harness.dispatch.rivals import Rivals
from harness.store.store import Store
from harness.sweeps.registry import TaskRef
from harness.sweeps.trial import Batch, Trial
from tests.store.rows import FAILED, row
from tests.store.small_sweep import SWEEP, exit_code_of


def trial(name: str) -> Trial:
    return Trial(name, TaskRef("sphere"), {}, 0)


def batch(*names: str) -> Batch:
    return Batch((tuple(trial(name) for name in names),))


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look each time, however long the last look took."""
    monkeypatch.setattr(rivals_module, "SELDOM", 0)


def ids(queue: deque[Batch]) -> set[str]:
    return {trial.trial_id for batch in queue for trial in batch.trials}


def test_what_others_finish_leaves_the_queue(tmp_path: Path, always: None):
    ours = Store.create(tmp_path / "rows")
    ours.append([row("before")])
    rivals = Rivals(ours)
    theirs = Store.open(tmp_path / "rows")
    queue = deque([batch("a", "b"), batch("c"), batch("d", "e"), batch("before")])

    def taken() -> set[str]:
        rivals.look()
        return {trial.trial_id for trial in rivals.take_off(queue)}

    assert taken() == set() and len(queue) == 4

    theirs.append([row("a"), row("c"), row("d", **FAILED)])
    ours.append([row("e")])
    assert taken() == {"a", "c"}
    assert ids(queue) == {"b", "d", "e", "before"} and rivals.finished == {"a", "c"}
    assert taken() == set() and len(queue) == 3

    (tmp_path / "rows" / "part-torn.parquet").write_bytes(b"PAR1")
    assert taken() == set()
    theirs.append([row("b"), row("a")])
    assert taken() == {"b"}


def test_runs_that_meet_go_on_from_different_places(tmp_path: Path, always: None):
    store = Store.create(tmp_path / "rows")
    rivals = [Rivals(store) for _ in range(8)]
    Store.open(tmp_path / "rows").append([row("0")])
    firsts = set()
    for one in rivals:
        queue = deque(batch(f"{k}") for k in range(100))
        one.look()
        one.take_off(queue)
        firsts.add(queue[0].trials[0].trial_id)
        assert len(queue) == 99
    assert len(firsts) > 1


def test_looking_takes_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = Store.create(tmp_path / "rows")
    rivals = Rivals(store)
    clock = iter([0.0, 0.5, 9.9, 10.0, 10.5])
    monkeypatch.setattr(rivals_module.time, "monotonic", lambda: next(clock))
    looks: list[int] = []
    names = store.row_file_names
    monkeypatch.setattr(store, "row_file_names", lambda: looks.append(1) or names())
    for _ in range(3):
        rivals.look()
    assert len(looks) == 2, "at 0, took half a second, so the next is at 10"


@pytest.mark.slow
def test_a_run_leaves_what_another_finishes_meanwhile_and_writes_it_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    always: None,
):
    """The other run finishes all six trials while this one is at its first batch."""
    from harness import run

    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SWEEP)
    assert exit_code_of(monkeypatch, "run", "small.yaml", "--inline", "--store", "theirs") == 0
    theirs = Store.open("theirs").read().rows
    run_batch = run.run_batch

    def as_another_finishes(batch, settings):
        results = run_batch(batch, settings)
        for file in Path("theirs").glob("part-*.parquet"):
            (Path("ours") / file.name).write_bytes(file.read_bytes())
        return results

    monkeypatch.setattr(run, "run_batch", as_another_finishes)
    assert exit_code_of(monkeypatch, "run", "small.yaml", "--inline", "--store", "ours") == 0
    assert "0 ok, 0 failed, 6 finished before" in capsys.readouterr().out
    ours = Store.open("ours").read().rows
    assert sorted(ours["trial_id"]) == sorted(theirs["trial_id"])
