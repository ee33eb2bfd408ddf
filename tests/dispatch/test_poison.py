"""A trial that goes wrong costs only itself, whatever it does to the worker, the batch and the
stack that it shares.

Run alone: python -m pytest tests/dispatch/test_poison.py
"""

import io
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from harness import run as run_module
from harness.run import Outcome, run
from harness.store.store import Store
from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.sweeps.trial import Batch
from harness.terminal.progress import Progress
from tests import FAILING_TASK
from tests.chaos.store_auditor import UNILAW
from tests.failing_task import JUNK
from tests.planned import schedule_of

# on a machine that may be busy
pytestmark = pytest.mark.timeout(900)

LIMIT_S = 10.0
"""The time limit of a batch. On a busy machine, the first batch of a fresh process spends some
seconds of it on torch's lazy imports."""

ATTEMPTS = 2


class Poison(NamedTuple):
    """What a trial does to the stack that it shares, and the rows that it should have for that."""

    how: str
    where: str
    kind: str
    attempts: int
    stacked: int
    """The largest stack that its mates are then trained in."""
    mates: int = 3

    def __str__(self) -> str:
        return f"{self.how}-in-{self.where}"


EVERYWHERE = [
    Poison("raise", "data", "bug", 1, stacked=3),
    # the stack falls apart, and its trials run one by one
    Poison("raise", "forward", "bug", 1, stacked=1),
    Poison("exit", "data", "bug", 1, stacked=3),
    Poison("exit", "forward", "bug", 1, stacked=1),
    Poison("not-an-exception", "data", "bug", 1, stacked=3),
    Poison("not-an-exception", "forward", "bug", 1, stacked=1),
    Poison("nan", "data", "nan", 1, stacked=4),
    # its outputs fall out of what a stack must agree on
    Poison("inf", "model", "nan", 1, stacked=1),
    Poison("not-data", "data", "bug", 1, stacked=3),
    Poison("three-outputs", "model", "bug", 1, stacked=3),
    Poison("memory", "data", "oom", ATTEMPTS, stacked=3),
    Poison("memory", "forward", "oom", ATTEMPTS, stacked=1),
    Poison("wait", "forward", "timeout", 1, stacked=2, mates=2),
]
DEADLY = [
    Poison("hang", "forward", "timeout", 1, stacked=1, mates=1),
    Poison("segfault", "forward", "crash", ATTEMPTS, stacked=2),
    Poison("kill", "data", "crash", ATTEMPTS, stacked=2),
]
"""What only a driver survives whose trials have workers of their own."""


def sweep(poisons: Sequence[Poison]) -> Sweep:
    """Return a sweep of each poison with its mates. Each has ten seeds to itself, the first of them
    for the poison."""
    entries = []
    for k, poison in enumerate(poisons):
        fixed = f"{{how: {poison.how}, where: {poison.where}}}"
        entries.append(f"  - {{task: trouble, seeds: [{10 * k}], fixed: {fixed}}}")

        mates = f"{{range: [{10 * k + 1}, {10 * k + 1 + poison.mates}]}}"
        entries.append(f"  - {{task: trouble, seeds: {mates}}}")
    limits = f"{{seconds_per_trial: {LIMIT_S}, attempts: {ATTEMPTS}, measure_points: 0}}"
    return parse_sweep(
        "\n".join(["name: poison", "seeds: [0]", f"limits: {limits}", "tasks:", *entries]),
        "sweep.yaml",
        refs_in(FAILING_TASK),
    )


def run_shared(
    poisons: Sequence[Poison], inline: bool, folder: Path
) -> tuple[Outcome, pd.DataFrame, str]:
    """Run the sweep, with each poison in one stack with all its mates. Only the planner is
    replaced. Return the outcome, the rows and the messages."""
    asked = sweep(poisons)
    stacks = [tuple(t for t in asked.trials if t.seed // 10 == k) for k in range(len(poisons))]
    planned = schedule_of([Batch((stack,)) for stack in stacks], LIMIT_S)
    store = Store.create(folder)
    messages = io.StringIO()
    progress = Progress(Console(file=messages, width=200))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "schedule", lambda *_: planned)
        outcome = run(asked, store, None, inline, False, progress)

    contents = store.read()
    assert contents.problems == []
    for part in folder.glob("part-*"):
        assert pq.read_metadata(part).num_rows, "a batch that is run again writes nothing"
    return outcome, contents.rows, messages.getvalue()


def check(poison: Poison, rows: pd.DataFrame, own_seed: int) -> None:
    """The poison has its failed attempts, and its mates are ok at once."""
    own = rows[rows["seed"] == own_seed]
    assert sorted(own["attempt"]) == list(range(1, poison.attempts + 1))
    assert set(own["failure_kind"]) == {poison.kind}, own["failure_message"].tolist()

    mates = rows[rows["seed"] != own_seed]
    assert len(mates) == mates["trial_id"].nunique() == poison.mates
    assert set(mates["status"]) == {"ok"}
    assert set(mates["attempt"]) == {1}
    assert mates["stack_size"].max() == poison.stacked


@pytest.mark.slow
@pytest.mark.parametrize(
    "poison",
    [
        # which waits for the time limit twice
        pytest.param(poison, marks=pytest.mark.soak if poison.how == "wait" else ())
        for poison in EVERYWHERE
    ],
    ids=str,
)
def test_a_poison_trial_costs_only_itself_in_this_process(poison: Poison, tmp_path: Path):
    outcome, rows, messages = run_shared([poison], inline=True, folder=tmp_path / "rows")
    assert (outcome.ok, dict(outcome.failed)) == (poison.mates, {poison.kind: 1}), messages
    check(poison, rows, own_seed=0)


@pytest.mark.ray
@pytest.mark.soak
def test_each_poison_trial_costs_only_itself_on_ray(tmp_path: Path):
    poisons = [*DEADLY, *EVERYWHERE]  # the slowest first
    outcome, rows, messages = run_shared(poisons, inline=False, folder=tmp_path / "rows")
    for k, poison in enumerate(poisons):
        check(poison, rows[rows["seed"] // 10 == k], own_seed=10 * k)

    assert outcome.ok == sum(poison.mates for poison in poisons)
    assert outcome.failed.total() == len(poisons) and outcome.given_up == 0
    assert rows["trial_id"].nunique() == len(sweep(poisons).trials)
    assert (rows["failure_kind"].notna()).sum() == sum(poison.attempts for poison in poisons)
    assert "4 trials of a batch of 4 to run again apart: the worker process died" in messages


@pytest.mark.slow
def test_a_second_run_leaves_a_poison_trial_alone(tmp_path: Path):
    poison = Poison("memory", "data", "oom", ATTEMPTS, stacked=3)
    run_shared([poison], inline=True, folder=tmp_path / "rows")
    outcome, rows, _ = run_shared([poison], inline=True, folder=tmp_path / "rows")
    assert (outcome.finished_before, outcome.ok, outcome.given_up) == (poison.mates, 0, 1)
    check(poison, rows, own_seed=0)


@pytest.mark.soak
@pytest.mark.parametrize(
    "inline",
    [True, pytest.param(False, marks=[pytest.mark.ray, pytest.mark.soak])],
    ids=["inline", "ray"],
)
def test_a_trial_that_prints_binary_junk_is_ok_like_any_other(
    inline: bool, environment: dict[str, str], tmp_path: Path
):
    (tmp_path / "a.yaml").write_text(
        "name: a\nseeds: [0]\ntasks:\n  - {task: trouble, fixed: {how: junk}}\n"
    )
    command = [UNILAW, "run", "a.yaml", "--task-file", str(FAILING_TASK), "--store", "rows"]
    if inline:
        command.append("--inline")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr
    printed = 1 if inline else 0  # a worker's words stay in Ray's logs
    assert (done.stdout.count(JUNK), done.stderr.count(JUNK)) == (printed, printed)
    assert done.stdout.replace(JUNK, b"").startswith(b"1 ok, 0 failed, 0 finished before")
    assert pd.read_parquet(tmp_path / "rows")["status"].tolist() == ["ok"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["raise", "exit"])
def test_a_model_that_cannot_be_built_costs_only_its_own_trial(
    how: str, unilaw_here, tmp_path: Path
):
    (tmp_path / "a.yaml").write_text(
        "name: a\nseeds: [0]\nlimits: {measure_points: 0}\ntasks:\n"
        f"  - {{task: trouble, fixed: {{how: {how}, where: model}}}}\n  - {{task: trouble}}\n"
    )
    done = unilaw_here(
        "run", "a.yaml", "--task-file", FAILING_TASK, "--store", "rows", "--inline", cwd=tmp_path
    )
    assert done.stdout.startswith("1 ok, 1 failed (1 bug), 0 finished before"), done.stderr
