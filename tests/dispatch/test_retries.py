"""What is run again and how often, over kinds of failure, limits and histories. Only the workers
are replaced.

Run alone: python -m pytest tests/dispatch/test_retries.py
"""

import io
import math
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from harness import run as run_module
from harness.dispatch import retries
from harness.dispatch.retries import WHOLE_AGAIN
from harness.errors import FAILURE_KINDS, RETRIED_KINDS, SHARED_KINDS
from harness.execution.trial_result import TrialResult
from harness.run import Outcome, identity, run
from harness.store.latest import latest
from harness.store.store import Store
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.sweeps.trial import Batch
from harness.terminal.progress import Progress
from tests.store.rows import OK

Answers = Callable[..., None]

PREEMPTIONS = 12
"""In place of the shipped limit, which costs more rows: above the losses of a batch of 13."""

EACH_SORT = ("bug", "timeout", "crash", "preempted")
"""A kind of its own trial's making, one that a batch shares, one that is tried again, and one that
is tried again without being charged."""

EACH_SORT_ALONE = ("bug", "crash", "preempted")
"""The same without the one that a batch shares, for trials alone in their batch."""


def sweep(attempts: int = 2, trials: int = 1) -> Sweep:
    seeds = list(range(trials))
    return parse_sweep(
        f"name: a\nseeds: {seeds}\nlimits: {{attempts: {attempts}}}\ntasks:\n  - task: sphere\n",
        "sweep.yaml",
    )


def result(kind: str | None) -> TrialResult:
    failed = {"status": "failed", "failure_kind": kind, "failure_message": f"a {kind}"}
    return TrialResult({"measures_version": 1, **(failed if kind else OK)})


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """`answers("crash", None)`: the first trial crashes, the second is ok, and any further one
    is like the last."""

    def prepare(*kinds: str | None) -> None:
        def results(queue: deque[Batch], *_) -> Iterator[tuple[Batch, list[TrialResult]]]:
            remaining = list(kinds)
            while queue:
                batch = queue.popleft()
                answered = []
                for _trial in batch.trials:
                    answered.append(result(remaining[0]))
                    if len(remaining) > 1:
                        remaining.pop(0)
                yield batch, answered

        monkeypatch.setattr(run_module, "results", results)

    return prepare


@pytest.fixture(autouse=True)
def few_preemptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PREEMPTIONS", PREEMPTIONS)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "rows")


def go(asked: Sweep, store: Store, retry_failed: bool = False) -> Outcome:
    return run(asked, store, None, False, retry_failed, Progress(Console(file=io.StringIO())))


def attempts(store: Store) -> list[int]:
    return store.read().rows["attempt"].sort_values().tolist()


def remember(asked: Sweep, store: Store, *kinds: str | None) -> None:
    """Write rows of earlier attempts at the sweep's first trial."""
    for k, kind in enumerate(kinds, start=1):
        row = {
            **identity(asked.trials[0], k, "a"),
            **result(kind).columns,
            "finished_at": datetime(2026, 1, 1, 12, k, tzinfo=UTC),
        }
        store.append([row])


def tries(kind: str, limit: int) -> int:
    """Return how often one run tries a trial that never gets further. The loss of its node is not
    the trial's fault, up to a point."""
    if kind == "preempted":
        return PREEMPTIONS
    return limit if kind in RETRIED_KINDS else 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "limit"), [*((kind, 3) for kind in FAILURE_KINDS), *((kind, 1) for kind in EACH_SORT)]
)
def test_attempts_in_one_run(kind: str, limit: int, store: Store, answers: Answers):
    answers(kind)
    outcome = go(sweep(limit), store)
    assert attempts(store) == list(range(1, tries(kind, limit) + 1))
    assert (outcome.ok, dict(outcome.failed), outcome.given_up) == (0, {kind: 1}, 0)
    assert set(store.read().rows["failure_message"]) == {f"a {kind}"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(RETRIED_KINDS))
def test_a_second_attempt_that_works_is_ok(kind: str, store: Store, answers: Answers):
    answers(kind, None)
    outcome = go(sweep(), store)
    assert (outcome.ok, dict(outcome.failed)) == (1, {})
    assert attempts(store) == [1, 2]
    assert latest(store.read().rows)["status"].tolist() == ["ok"]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "limit"), [(1, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("kind", EACH_SORT_ALONE)
def test_the_limit_counts_attempts_of_earlier_runs(
    kind: str, before: int, limit: int, store: Store, answers: Answers
):
    asked = sweep(limit)
    remember(asked, store, *[kind] * before)
    answers(kind)
    outcome = go(asked, store)
    if kind == "preempted":
        further = PREEMPTIONS
    elif kind in RETRIED_KINDS:
        further = max(0, limit - before)
    else:
        further = 0
    assert attempts(store) == list(range(1, before + further + 1))
    assert outcome.given_up == (0 if further else 1)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("kind", ["bug", "crash"])
def test_retry_failed_begins_the_count_anew(kind: str, limit: int, store: Store, answers: Answers):
    asked = sweep(limit)
    remember(asked, store, kind, kind, kind)
    answers(kind)
    go(asked, store, retry_failed=True)
    assert attempts(store) == list(range(1, 3 + 1 + tries(kind, limit)))


@pytest.mark.slow
@pytest.mark.parametrize("retry_failed", [False, True])
@pytest.mark.parametrize(
    "history", [[None], ["crash", None], [None, "crash"], ["bug", None, "nan"]], ids=str
)
def test_a_finished_trial_is_never_run_again(
    history: list[str | None], retry_failed: bool, store: Store, answers: Answers
):
    asked = sweep()
    remember(asked, store, *history)
    answers("bug")
    outcome = go(asked, store, retry_failed)
    assert attempts(store) == list(range(1, len(history) + 1))
    assert (outcome.finished_before, outcome.ok, outcome.given_up) == (1, 0, 0)


def test_one_poison_trial_does_not_stop_its_neighbours(store: Store, answers: Answers):
    # the first time in a batch of three, which is not an attempt of its own
    answers("crash", None, None, "crash", "crash")
    outcome = go(sweep(trials=3), store)
    assert (outcome.ok, dict(outcome.failed)) == (2, {"crash": 1})
    assert store.read().rows.groupby("trial_id").size().sort_values().tolist() == [1, 1, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "trials"),
    [
        *((kind, 13) for kind in sorted(SHARED_KINDS)),
        *((kind, trials) for kind in ("crash", "preempted") for trials in (2, 3)),
    ],
)
def test_a_batch_that_is_lost_whole_is_cut_until_the_poison_is_alone(
    monkeypatch, kind: str, trials: int, store: Store
):
    """Every batch with seed 1 in it is lost. Its mates come out of it without a failure, and in few
    batches."""
    sizes: list[int] = []
    lost_together = 0

    def results(queue: deque[Batch], *_) -> Iterator[tuple[Batch, list[TrialResult]]]:
        nonlocal lost_together
        while queue:
            batch = queue.popleft()
            sizes.append(len(batch.trials))
            is_lost = any(t.seed == 1 for t in batch.trials)
            lost_together += is_lost and len(batch.trials) > 1
            yield batch, [result(kind if is_lost else None) for _ in batch.trials]

    monkeypatch.setattr(run_module, "results", results)
    outcome = go(sweep(trials=trials), store)
    assert sizes[0] == trials, "all in one batch"
    assert (outcome.ok, dict(outcome.failed)) == (trials - 1, {kind: 1})

    alone = tries(kind, 2) - (lost_together if kind == "preempted" else 0)
    rows = store.read().rows
    failed = rows.loc[rows["status"] == "failed", ["seed", "attempt"]].to_numpy().tolist()
    assert rows.loc[rows["status"] == "ok", "attempt"].tolist() == [1] * (trials - 1)
    assert sorted(failed) == [[1, attempt] for attempt in range(1, alone + 1)]

    cuts = 2 * math.ceil(math.log2(trials))
    whole_again = WHOLE_AGAIN if kind == "preempted" else 0
    assert len(sizes) <= cuts + alone + whole_again


@pytest.mark.parametrize("kind", sorted(set(FAILURE_KINDS) - SHARED_KINDS))
def test_a_failure_of_its_own_in_a_shared_batch_is_a_row_at_once(
    kind: str, store: Store, answers: Answers
):
    answers(None, kind, None)
    outcome = go(sweep(trials=3), store)
    assert (outcome.ok, dict(outcome.failed)) == (2, {kind: 1})
    assert attempts(store) == [1, 1, 1]


def test_a_run_is_on_record_with_its_forecast(store: Store, answers: Answers):
    answers(None, "nan")
    go(sweep(trials=3), store)
    go(sweep(trials=3), store)  # has nothing to do
    (record,) = store.runs()
    assert (record.sweep, record.inline, record.trials) == ("a", False, 3)
    assert record.forecast_s > 0 and record.seconds > 0


def test_a_torn_file_is_set_aside_and_its_trial_runs_again(store: Store, answers: Answers):
    answers(None)
    go(sweep(), store)
    (part,) = Path(str(store)).glob("part-*.parquet")
    part.write_bytes(part.read_bytes()[:100])
    assert go(sweep(), store).ok == 1
    assert store.read().problems == []
    assert len(list((Path(str(store)) / "_set_aside").iterdir())) == 1


def test_a_wider_sweep_runs_only_what_is_new(store: Store, answers: Answers):
    answers(None)
    go(sweep(trials=2), store)
    outcome = go(sweep(trials=5), store)
    assert (outcome.finished_before, outcome.ok) == (2, 3)
    assert [len(record.trials) for record in store.sweeps()] == [2, 5]


@pytest.mark.slow
def test_preemptions_are_not_charged_between_other_failures(store: Store, answers: Answers):
    answers("crash", "preempted", "preempted", "crash", "preempted", "oom", None)
    outcome = go(sweep(attempts=3), store)
    assert (outcome.ok, dict(outcome.failed)) == (0, {"oom": 1})
    assert attempts(store) == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_preempted_rows_of_earlier_runs_are_not_charged(store: Store, answers: Answers):
    asked = sweep(attempts=2)
    remember(asked, store, "crash", *["preempted"] * PREEMPTIONS)
    answers("crash")
    outcome = go(asked, store)
    assert attempts(store) == list(range(1, PREEMPTIONS + 3))
    assert dict(outcome.failed) == {"crash": 1}
    assert go(asked, store).given_up == 1


@pytest.mark.slow
@pytest.mark.parametrize(("lost", "again"), [(1, [3, 3]), (3, [3] * 4), (4, [3] * 4 + [1, 2])])
def test_a_batch_that_loses_its_node_runs_again_as_it_was_before_it_is_cut(
    monkeypatch, lost: int, again: list[int], store: Store
):
    sizes: list[int] = []

    def results(queue: deque[Batch], *_) -> Iterator[tuple[Batch, list[TrialResult]]]:
        while queue:
            batch = queue.popleft()
            sizes.append(len(batch.trials))
            kind = "preempted" if len(sizes) <= lost else None
            yield batch, [result(kind) for _ in batch.trials]

    monkeypatch.setattr(run_module, "results", results)
    assert go(sweep(trials=3), store).ok == 3
    assert sizes == again
    assert attempts(store) == [1, 1, 1]
