"""A cluster's bad day: nodes are lost, join late and are given notice while a sweep runs, and then
the head is lost.

No worker dies but with its node, so every failed row must be `preempted`; each trial has one
attempt, so a preemption that is charged to its trial gives the trial up.
"""

import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen, TimeoutExpired

from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import load_sweep
from tests import FAILING_TASK
from tests.chaos.store_auditor import Result, Runs, StoreAuditor
from tests.nodes import Nodes, busy, nodes

SWEEP = """
name: day
seeds: [0]
limits: {{attempts: 1, measure_points: 0}}
tasks:
  - task: trouble
    fixed: {{nap: {nap}, max_epochs: 2000}}
    grid: {{n: {{range: [16, {end}]}}}}
"""
"""So many epochs that every trial is a batch of its own; most of its time it sleeps."""

PATIENCE_S = 180.0
"""For anything that Ray should notice or do by itself."""


def bad_day(
    folder: Path,
    trials: int,
    days: int = 1,
    nap: float = 1.5,
    environment: dict[str, str] | None = None,
) -> Result:
    """Every node but the head is lost, one of them after a notice, one that joined late, and
    last the head; `days` times."""
    (folder / "day.yaml").write_text(SWEEP.format(nap=nap, end=16 + trials))
    asked = {t.trial_id for t in load_sweep(str(folder / "day.yaml"), refs_in(FAILING_TASK)).trials}
    witness = StoreAuditor(folder / "rows")
    did = {"nodes lost": 0, "joined late": 0, "notices": 0, "heads lost": 0}
    slept = 0.0
    for _ in range(days):
        with nodes(2, environment=environment) as cluster:
            runs = Runs(folder, cluster.environment)
            process = runs.start(
                "run",
                "day.yaml",
                "--task-file",
                FAILING_TASK,
                "--store",
                "rows",
                "--address",
                cluster.address,
            )
            try:
                _disturb(cluster, witness, process, did)
                began = time.monotonic()
                try:
                    code = process.wait(PATIENCE_S)
                except TimeoutExpired:
                    witness.failures.append(
                        f"the run did not end within {PATIENCE_S:g} s of its head's death"
                    )
                else:
                    slept = max(slept, time.monotonic() - began)
                    if code == 0 or "Traceback" in runs.said(process):
                        witness.failures.append(
                            f"the run that lost its head ended with {code}: {runs.said(process)}"
                        )
            except AssertionError as e:
                witness.failures.append(f"{e}; {runs.said(process)}")
            finally:
                runs.end()
            witness.look("the head's death")
    with nodes(2, environment=environment) as cluster:
        runs = Runs(folder, cluster.environment)
        try:
            process = runs.start(
                "run",
                "day.yaml",
                "--task-file",
                FAILING_TASK,
                "--store",
                "rows",
                "--address",
                cluster.address,
            )
            if process.wait(trials * nap * 4 + PATIENCE_S) != 0:
                witness.failures.append(
                    f"the run on the new head ended with {process.returncode}: {runs.said(process)}"
                )
        finally:
            runs.end()
    rows = witness.conclude(asked, failed={"preempted": did["nodes lost"] + did["heads lost"]})
    return Result(
        "cluster",
        did,
        {**witness.counts(rows), "head_loss_noticed_s": round(slept, 1)},
        witness.failures,
    )


def _disturb(
    cluster: Nodes, witness: StoreAuditor, process: Popen[bytes], did: dict[str, int]
) -> None:
    """Raises AssertionError where the run ends too early, or does not do what it should with its
    nodes."""

    def until(happened: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not happened():
            assert process.poll() is None, (
                f"the run was over with {process.returncode} before {what}"
            )
            assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
            time.sleep(0.05)

    def until_rows_came(after: str) -> None:
        witness.look(after)
        until(lambda: witness.row_files() - witness.committed.keys(), f"a row file after {after}")

    first = cluster.workers[0]
    until_rows_came("its start")
    until(lambda: busy(first.session), "the first node was at work")
    cluster.kill(first)
    did["nodes lost"] += 1
    until_rows_came("the first node's death")
    late = cluster.add()
    did["joined late"] += 1
    until(lambda: busy(late.session), "the late node was at work")
    other = cluster.add()
    until(lambda: busy(other.session), "the other node was at work")
    cluster.give_notice(other, seconds=5)
    did["notices"] += 1
    until(lambda: not busy(other.session), "the node with notice had ended its batch")
    until_rows_came("the notice")
    assert not busy(other.session), "the node with notice got another batch"
    cluster.kill(other)
    did["nodes lost"] += 1
    until_rows_came("the death of the node with notice")
    until(lambda: busy(late.session), "the late node was at work")
    cluster.kill(late)
    did["nodes lost"] += 1
    until_rows_came("the late node's death")
    assert cluster.head is not None
    until(lambda: cluster.head and busy(cluster.head.session), "the head was at work")
    cluster.kill(cluster.head)
    did["heads lost"] += 1
