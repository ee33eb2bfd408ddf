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
"""With this many epochs, every trial is a batch of its own. Most of its time it sleeps."""

PATIENCE_S = 180.0
"""How long to wait for anything that Ray should notice or do by itself."""


def bad_day(
    folder: Path,
    trials: int,
    days: int = 1,
    nap: float = 1.5,
    environment: dict[str, str] | None = None,
) -> Result:
    """Lose every node but the head, one of them after a notice, one that joined late, and last the
    head; `days` times. Then let the run end on a new cluster."""
    (folder / "day.yaml").write_text(SWEEP.format(nap=nap, end=16 + trials))
    sweep = load_sweep(str(folder / "day.yaml"), refs_in(FAILING_TASK))
    auditor = StoreAuditor(folder / "rows")
    did = {"nodes lost": 0, "joined late": 0, "notices": 0, "heads lost": 0}

    noticed_s = 0.0
    for _ in range(days):
        with nodes(2, environment=environment) as cluster:
            noticed_s = max(noticed_s, _lose_all(cluster, folder, auditor, did))
        auditor.look("the head's death")

    with nodes(2, environment=environment) as cluster:
        _run_to_the_end(cluster, folder, auditor, within=trials * nap * 4 + PATIENCE_S)

    rows = auditor.conclude(
        {trial.trial_id for trial in sweep.trials},
        failed={"preempted": did["nodes lost"] + did["heads lost"]},
    )
    found = {**auditor.counts(rows), "head_loss_noticed_s": round(noticed_s, 1)}
    return Result("cluster", did, found, auditor.failures)


def _start(runs: Runs, cluster: Nodes) -> Popen[bytes]:
    """Start the same command every time."""
    options = ("--task-file", FAILING_TASK, "--store", "rows", "--address", cluster.address)
    return runs.start("run", "day.yaml", *options)


def _lose_all(cluster: Nodes, folder: Path, auditor: StoreAuditor, did: dict[str, int]) -> float:
    """Run the sweep while all nodes are lost. Return how long the run took to notice the loss of
    its head, in seconds."""
    runs = Runs(folder, cluster.environment)
    process = _start(runs, cluster)
    try:
        _disturb(cluster, auditor, process, did)
        began = time.monotonic()
        try:
            code = process.wait(PATIENCE_S)
        except TimeoutExpired:
            auditor.failures.append(
                f"the run did not end within {PATIENCE_S:g} s of its head's death"
            )
            return 0.0
        noticed_s = time.monotonic() - began
        if code == 0 or "Traceback" in runs.output(process):
            auditor.failures.append(
                f"the run that lost its head ended with {code}: {runs.output(process)}"
            )
        return noticed_s
    except AssertionError as e:
        auditor.failures.append(f"{e}; {runs.output(process)}")
        return 0.0
    finally:
        runs.end()


def _run_to_the_end(cluster: Nodes, folder: Path, auditor: StoreAuditor, within: float) -> None:
    """Run the sweep without disturbance."""
    runs = Runs(folder, cluster.environment)
    process = _start(runs, cluster)
    try:
        code = process.wait(within)
        if code != 0:
            auditor.failures.append(
                f"the run on the new head ended with {code}: {runs.output(process)}"
            )
    finally:
        runs.end()


def _disturb(
    cluster: Nodes, auditor: StoreAuditor, process: Popen[bytes], did: dict[str, int]
) -> None:
    """Do to the cluster what `bad_day` says, each time after rows have come.

    Raises AssertionError when the run ends too early, or does not use its nodes as it should.
    """

    def until(happened: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not happened():
            assert process.poll() is None, (
                f"the run was over with {process.returncode} before {what}"
            )
            assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
            time.sleep(0.05)

    def until_rows_came(after: str) -> None:
        auditor.look(after)
        until(lambda: auditor.row_files() - auditor.committed.keys(), f"a row file after {after}")

    # a node is lost while it is at work
    first = cluster.workers[0]
    until_rows_came("its start")
    until(lambda: busy(first.session), "the first node was at work")
    cluster.kill(first)
    did["nodes lost"] += 1
    until_rows_came("the first node's death")

    # another joins late
    late = cluster.add()
    did["joined late"] += 1
    until(lambda: busy(late.session), "the late node was at work")

    # a third is given notice, and lost
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

    # the late one is lost
    until(lambda: busy(late.session), "the late node was at work")
    cluster.kill(late)
    did["nodes lost"] += 1
    until_rows_came("the late node's death")

    # and last the head
    assert cluster.head is not None
    until(lambda: cluster.head and busy(cluster.head.session), "the head was at work")
    cluster.kill(cluster.head)
    did["heads lost"] += 1
