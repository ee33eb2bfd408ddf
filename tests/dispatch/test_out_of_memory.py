"""What happens to a trial that runs out of memory: a larger share of a GPU, several GPUs, or more
reserved memory. Only the workers are replaced.

Run alone: python -m pytest tests/dispatch/test_out_of_memory.py
"""

import io
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from harness import run as run_module
from harness.dispatch import cluster
from harness.execution.trial_result import TrialResult
from harness.run import Outcome, run
from harness.store.store import Store
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.sweeps.trial import Batch
from harness.terminal.progress import Progress

GPT = (
    "[{task: text-stream, seeds: [0], fixed: {source: python-stdlib, depth: 4, n: 64, batch_size:"
    " 4, context: 64, max_epochs: 1, width: 64}}]"
)

OUT_OF_MEMORY = {
    "measures_version": 1,
    "status": "failed",
    "failure_kind": "oom",
    "failure_message": "no memory",
}


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """Every batch that a run gives to its workers, which all run out of memory. The cluster has
    4 GPUs, and 64 GB on its largest node."""
    batches: list[Batch] = []
    monkeypatch.setattr(cluster, "max_gpus_and_memory", lambda cpus: (4, 64.0))

    def results(queue: deque[Batch], *_: Any) -> Iterator[tuple[Batch, list[TrialResult]]]:
        while queue:
            batch = queue.popleft()
            batches.append(batch)
            result = TrialResult(OUT_OF_MEMORY | {"gpus": batch.gpus})
            yield batch, [result for _ in batch.trials]

    monkeypatch.setattr(run_module, "results", results)
    return batches


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "rows")


def run_quietly(sweep: Sweep, store: Store) -> tuple[Outcome, str]:
    """Run the sweep; return its outcome and its messages."""
    messages = io.StringIO()
    progress = Progress(Console(file=messages, width=400))
    outcome = run(sweep, store, None, inline=False, retry_failed=False, progress=progress)
    return outcome, messages.getvalue()


def sweep(resources: str, tasks: str = "[{task: sphere}]", seeds: str = "[0]") -> Sweep:
    return parse_sweep(
        f"name: a\nseeds: {seeds}\nresources: {{{resources}}}\ntasks: {tasks}\n", "sweep.yaml"
    )


def rows_of(store: Store) -> pd.DataFrame:
    return store.read().rows.sort_values("attempt")


def test_out_of_memory_raises_the_share_step_by_step_and_then_says_so(
    batches: list[Batch], store: Store
):
    outcome, messages = run_quietly(sweep("gpus: 0.25"), store)
    rows = rows_of(store)
    assert [batch.gpus for batch in batches] == rows["gpus"].tolist() == [0.25, 0.5, 1.0]
    assert rows["attempt"].tolist() == [1, 2, 3]
    assert dict(outcome.failed) == {"oom": 1}
    assert (
        rows["failure_message"].iloc[-1]
        == "ran out of memory with each of 1/4 GPU, 1/2 GPU, 1 GPU; no memory"
    )
    assert "oom, trying again with 1/2 GPU: no memory" in messages


@pytest.mark.slow
def test_a_run_after_that_tries_once_more_and_then_leaves_it(batches: list[Batch], store: Store):
    given_up = [run_quietly(sweep("gpus: 0.5"), store)[0].given_up for _ in range(3)]
    assert [batch.gpus for batch in batches] == [0.5, 1.0, 0.5, 1.0]
    assert given_up == [0, 0, 1]


@pytest.mark.slow
def test_a_language_models_trial_goes_on_to_several_gpus(batches: list[Batch], store: Store):
    run_quietly(sweep("gpus: 0.5, max_gpus: 8", GPT), store)
    assert [batch.gpus for batch in batches] == [0.5, 1.0, 2.0, 4.0], "the cluster has four"


def test_a_batch_of_several_is_cut_before_any_share_is_raised(batches: list[Batch], store: Store):
    run_quietly(sweep("gpus: 0.5", seeds="[0, 1]"), store)
    together = [(2, 0.5)]
    apart = [(1, 0.5), (1, 0.5)]
    raised = [(1, 1.0), (1, 1.0)]
    assert [(len(b.trials), b.gpus) for b in batches] == together + apart + raised


def test_reserved_memory_is_doubled_up_to_what_a_node_has(batches: list[Batch], store: Store):
    outcome, messages = run_quietly(sweep("memory_gb: 10"), store)
    assert [batch.memory_gb for batch in batches] == [None, 20, 40, 64]
    assert dict(outcome.failed) == {"oom": 1}
    assert "trying again with 20 GB" in messages
    last_message = rows_of(store)["failure_message"].iloc[-1]
    assert last_message.startswith("ran out of memory with each of 10 GB, 20 GB, 40 GB, 64 GB;")


def test_without_a_reservation_out_of_memory_is_retried_as_any_failure(
    batches: list[Batch], store: Store
):
    run_quietly(sweep("cpus: 1"), store)
    attempts = 2  # limits.attempts
    assert [(batch.gpus, batch.memory_gb) for batch in batches] == [(0.0, None)] * attempts
