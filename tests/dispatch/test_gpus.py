"""Shares of GPUs: how they are chosen, packed and raised. The GPUs are Ray's word for it alone;
no trial here computes on one."""

import io
import logging
import os
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import ray
from ray import cloudpickle
from rich.console import Console

from harness import run as run_module
from harness.dispatch import actors, worker
from harness.errors import UserError
from harness.execution.trial_result import TrialResult
from harness.planning import plan
from harness.planning.batches import Gpus, make_batches, max_gpus_of
from harness.planning.machine_speed import calibrated
from harness.planning.plan import cost_cells, refuse_what_cannot_fit
from harness.run import Outcome, run
from harness.store.store import Store
from harness.sweeps import gpu_shares
from harness.sweeps.sweep import Resources, Sweep, parse_sweep
from harness.sweeps.trial import Batch, RunSettings
from harness.terminal.listing import plan_table
from harness.terminal.progress import Progress

SETTINGS = RunSettings(
    cpus=1, gpus=0.0, seconds=60, weights_bytes=0, measure_points=0, checkpoints=None
)


def sweep(resources: str, tasks: str = "[{task: sphere}]", more: str = "") -> Sweep:
    return parse_sweep(
        f"name: a\nseeds: {{range: [0, 40]}}\nresources: {{{resources}}}\ntasks: {tasks}\n{more}",
        "sweep.yaml",
    )


# What a share is


@pytest.mark.parametrize(("gpus", "most", "steps"), [
    (1 / 16, 1, [1 / 8, 1 / 4, 1 / 2, 1.0]),
    (0.25, 1, [0.5, 1.0]),
    (0.3333, 1, [0.5, 1.0]),
    (0.0588, 1, [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0]),
    (0.5, 8, [1.0, 2.0, 4.0, 8.0]),
    (1, 6, [2.0, 4.0, 6.0]),
    (3, 8, [4.0, 8.0]),
    (8, 8, []),
    (16, 8, []),
])  # fmt: skip
def test_the_next_larger_shares(gpus: float, most: int, steps: list[float]):
    found, share = [], gpu_shares.next_share(gpus, most)
    while share:
        found.append(share)
        share = gpu_shares.next_share(share, most)
    assert found == steps


@pytest.mark.parametrize("parts", range(1, 101))
def test_as_many_shares_fit_into_one_gpu_as_their_name_says(parts: int):
    share = gpu_shares.rounded(round(1 / parts, 4))
    assert share is not None
    counted = round(share * 10_000)  # as Ray counts
    assert (
        counted == pytest.approx(share * 10_000)
        and parts * counted <= 10_000 < (parts + 1) * counted
    )
    assert parts == 1 or gpu_shares.named(share) == f"1/{parts} GPU"


@pytest.mark.parametrize("value", [0.3, 0.4, 0.6, 0.75, 0.99, 0.001, 5e-324])
def test_other_fractions_are_no_shares(value: float):
    assert gpu_shares.rounded(value) is None


def test_processes_that_share_a_gpu_fit_with_their_contexts():
    for parts in (1, 2, 4, 16):
        for gpu_bytes in (8e9, 24e9, 80e9):
            filled = gpu_shares.allocator_fraction(1 / parts, gpu_bytes) * gpu_bytes
            assert (
                filled == gpu_bytes
                if parts == 1
                else parts * (filled + gpu_shares.CONTEXT_BYTES) <= gpu_bytes * (1 + 1e-9)
                or filled == 0
            )


# What the planner gives


SPHERES = (
    "[{task: sphere, seeds: [0], fixed: {n: 64, d: 16, depth: 2, stop: epochs}, grid: {width: [8,"
    " 4096, 8192, 16384, 32768]}}]"
)


def test_every_cell_gets_the_smallest_share_that_holds_it():
    cells = cost_cells(sweep("gpus: auto, gpu_memory_gb: 24", SPHERES))
    assert [c.config["width"] for c in cells] == [8, 4096, 8192, 16384, 32768]
    for cell in cells:
        held = [s for s in (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0) if cell.memory_bytes <= 24e9 * s]
        assert cell.gpus == min(held)
    assert [c.gpus for c in cells] == [
        1 / 16,
        1 / 16,
        1 / 8,
        1 / 4,
        1.0,
    ], "32768² parameters in four copies are 17 GB"


def test_a_cell_that_no_gpu_holds_is_refused_with_its_figures():
    asked = sweep("gpus: auto, gpu_memory_gb: 16", SPHERES)
    with pytest.raises(
        UserError,
        match=(
            r"1 of 5 cells cannot fit: the largest, sphere with p = 1,074,\d+,\d+, needs about"
            r" 17\.\d GB on one"
        ),
    ):
        refuse_what_cannot_fit(cost_cells(asked), asked, here=False)


def test_auto_without_a_word_on_the_gpus_asks_for_it(monkeypatch):
    monkeypatch.setattr(plan.torch.cuda, "is_available", lambda: False)
    asked = sweep("gpus: auto")
    with pytest.raises(UserError, match="write it as resources.gpu_memory_gb"):
        cost_cells(asked)


GPT = (
    "[{task: text-stream, seeds: [0], fixed: {source: python-stdlib, depth: 4, n: 64, batch_size:"
    " 4, context: 64, max_epochs: 1}, grid: {width: [64, 128]}}]"
)


def test_only_language_models_may_be_given_several_gpus():
    with pytest.raises(
        UserError,
        match=(
            r"sweep.yaml:3: 'resources.gpus' is 2, and a trial of the task 'sphere' uses at most 1"
        ),
    ):
        sweep("gpus: 2")
    trial = sweep("gpus: 1").trials[0]
    assert max_gpus_of(trial, 8) == 1


def test_small_batches_keep_to_their_own_share_and_the_largest_comes_first():
    asked = sweep(
        "gpus: auto, gpu_memory_gb: 24", SPHERES.replace("seeds: [0]", "seeds: [0, 1, 2]")
    )
    planned = make_batches(asked.trials, calibrated(1, print), 0, 600, 24e9, Gpus(24e9, 8))
    given = [p.batch.gpus for p in planned]
    assert given == sorted(given, reverse=True) and set(given) == {1 / 16, 1 / 8, 1 / 4, 1.0}
    by_width = {(t.config["width"], p.batch.gpus) for p in planned for t in p.batch.trials}
    assert {w: g for w, g in by_width if w > 4096} == {8192: 1 / 8, 16384: 1 / 4, 32768: 1.0}
    assert sorted(t.trial_id for p in planned for t in p.batch.trials) == sorted(
        t.trial_id for t in asked.trials
    )


def test_without_gpus_nothing_has_a_share_and_the_longest_comes_first():
    asked = sweep("cpus: 1", SPHERES)
    planned = make_batches(asked.trials, calibrated(1, print), 0, 600)
    assert {p.batch.gpus for p in planned} == {0.0}
    assert [p.seconds for p in planned] == sorted((p.seconds for p in planned), reverse=True)


def test_the_plan_says_who_gets_how_much():
    made = plan.plan(sweep("gpus: auto, gpu_memory_gb: 24", SPHERES.replace(", 32768", "")), print)
    assert (
        set(made.batches_by_gpus) == {"1/16 GPU", "1/8 GPU", "1/4 GPU"}
        and sum(made.batches_by_gpus.values()) == made.batches
    )
    table = plan_table(made)
    assert "alone on" in table and "1/8 GPU" in table and "batches with 1/4 GPU each." in table
    assert "alone on" not in plan_table(plan.plan(sweep("cpus: 1"), print))


# How batches are packed


class Bout(NamedTuple):
    """One batch's time at work."""

    gpus: float
    pid: int
    gpu_ids: tuple[str, ...]
    began: float
    ended: float


class Recorder(worker.Worker):
    """A worker that sleeps for as many milliseconds as its first trial's seed, and says where
    and when. The configuration may ask it to wait for so many others (`meet`), to die
    (`corpse`), or to fail (`kind`)."""

    def node(self, home: str) -> str:
        """Without loading torch: ten at a time take a minute for that on two cores."""
        return ray.get_runtime_context().get_node_id()

    def work(
        self, stacks: list[list[dict[str, Any]]], given: tuple[Any, ...]
    ) -> list[tuple[Any, ...]]:
        import ray

        began = time.time()
        time.sleep(stacks[0][0]["seed"] / 1000)
        ids = tuple(map(str, ray.get_gpu_ids()))
        asked = stacks[0][0]["config"]
        if "meet" in asked:
            folder, others = asked["meet"]
            Path(folder, str(os.getpid())).touch()
            while len(os.listdir(folder)) < others and time.time() < began + 120:
                time.sleep(0.02)
        if "corpse" in asked:
            os._exit(1)
        kind = {"failure_kind": asked["kind"]} if "kind" in asked else {}
        bout = {"bout": (RunSettings(*given).gpus, os.getpid(), ids, began, time.time()), **kind}
        return [(bout, None, None) for _ in stacks[0]]


@pytest.fixture(scope="module")
def two_gpus() -> Iterator[None]:
    """A Ray with ten CPUs and two GPUs, in name."""
    ray.init(
        address="local",
        num_cpus=10,
        num_gpus=2,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield
    ray.shutdown()


@pytest.fixture
def pack(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Bout]]:
    """`pack([(0.25, 300), …])`: batches of a share, milliseconds and reserved GB, if any,
    through the real dispatch; what each said of itself."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(actors.worker, "Worker", Recorder)

    def go(batches: list[tuple[Any, ...]], cpus: int = 1, **config: Any) -> list[Bout]:
        trial = sweep("cpus: 1").trials[0]
        queue = deque(
            Batch(((replace(trial, seed=ms, config=config),),), gpus, *memory_gb)
            for gpus, ms, *memory_gb in batches
        )
        found = list(actors.on_ray(queue, None, Resources(cpus=cpus), SETTINGS))
        assert len(found) == len(batches) and not queue
        columns = [results[0].columns for _, results in found]
        return [Bout(*c["bout"]) for c in columns if "bout" in c]

    return go


def most_at_once(bouts: list[Bout]) -> dict[str, float]:
    """GPU → the largest sum of shares that were at work on it at one time."""
    most: dict[str, float] = {}
    for bout in bouts:
        for gpu in bout.gpu_ids:
            now = sum(b.gpus for b in bouts if gpu in b.gpu_ids and b.began <= bout.began < b.ended)
            most[gpu] = max(most.get(gpu, 0.0), now)
    return most


def test_four_quarters_run_on_each_gpu_at_a_time_in_workers_that_stay(pack, tmp_path):
    bouts = pack([(0.25, 10)] * 24, meet=(str(tmp_path), 8))
    assert most_at_once(bouts) == {"0": 1.0, "1": 1.0}
    assert len({b.pid for b in bouts}) == 8, (
        "one process for each share, and none for each of the 24 batches"
    )
    assert Counter(b.gpu_ids for b in {b.pid: b for b in bouts}.values()) == {("0",): 4, ("1",): 4}
    assert {b.gpus for b in bouts} == {0.25}


def test_a_mixture_of_shares_ends_and_never_fills_a_gpu_twice(pack):
    mixture = [(1.0, 200), (0.5, 200), (0.25, 100), (0.125, 50), (1.0, 200), (0.25, 100)]
    bouts = pack(mixture)
    assert sorted(b.gpus for b in bouts) == sorted(gpus for gpus, _ in mixture)
    assert max(most_at_once(bouts).values()) <= 1.0


def test_a_whole_gpu_does_not_wait_for_all_the_small_ones_behind_it(pack):
    bouts = pack([(0.5, 100)] * 8 + [(1.0, 100)] + [(0.5, 100)] * 12)
    whole = next(b for b in bouts if b.gpus == 1.0)
    assert sum(b.began > whole.began for b in bouts) == 12, (
        "nothing behind it in the queue overtook it"
    )


def test_a_worker_that_dies_is_replaced(pack):
    assert pack([(1.0, 10)] * 3, corpse=True) == [], "each took its worker with it"
    assert len({b.pid for b in pack([(1.0, 10)] * 4)}) <= 2


@pytest.mark.parametrize(("gpus", "kind"), [(0.0, "timeout"), (1.0, "oom")])
def test_a_worker_whose_batch_was_lost_gets_no_other(pack, kind: str, gpus: float):
    assert len({b.pid for b in pack([(gpus, 10)] * 4, cpus=5, kind=kind)}) == 4
    assert len({b.pid for b in pack([(gpus, 10)] * 4, cpus=5, kind="nan")}) <= 2


def test_a_worker_that_dies_while_it_waits_takes_no_batch_with_it(
    pack, monkeypatch: pytest.MonkeyPatch
):
    killed: list[int] = []
    look = actors.WorkerPool._look

    def kill_one_and_look(crew: actors.WorkerPool) -> None:
        if crew.idle and not killed:
            ref = crew.idle[0].handle.work.remote([[{"seed": 0, "config": {}}]], tuple(SETTINGS))
            killed.append(ray.get(ref)[0][0]["bout"][1])
            os.kill(killed[0], signal.SIGKILL)
            time.sleep(1.0)  # Ray hears of it in a tenth of that
        look(crew)

    monkeypatch.setattr(actors.WorkerPool, "_look", kill_one_and_look)
    bouts = pack([(0.0, 10)] * 6, cpus=5)
    assert len(bouts) == 6 and killed and killed[0] not in {b.pid for b in bouts}


class Homeless(Recorder):
    """On nodes that lack unilaw."""

    def node(self, home: str) -> str:
        raise ImportError("unilaw is not installed on this node")


def test_workers_that_cannot_begin_end_the_run_with_the_reason(
    pack, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(actors.worker, "Worker", Homeless)
    with pytest.raises(
        UserError,
        match=(
            "workers end before they have begun: ImportError: unilaw is not installed on this node"
        ),
    ):
        pack([(0.0, 10)] * 12)


def test_batches_that_differ_in_reserved_memory_alone_all_end(pack):
    assert (
        len(
            pack(
                [(0.0, 10, None), (0.0, 10, 0.1), (0.0, 10, None), (0.0, 10, 0.2), (0.0, 10, 0.2)],
                cpus=5,
            )
        )
        == 5
    )


# What happens to a trial that runs out of memory


def oom(message: str = "no memory") -> dict[str, Any]:
    return {
        "measures_version": 1,
        "status": "failed",
        "failure_kind": "oom",
        "failure_message": message,
    }


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """Every batch that a run gives to its workers, which all run out of memory; the cluster has
    4 GPUs, and 64 GB on its largest node."""
    batches: list[Batch] = []
    monkeypatch.setattr(actors, "max_gpus_and_memory", lambda cpus: (4, 64.0))

    def results(
        queue: deque[Batch], resources: Resources, *_: Any
    ) -> Iterator[tuple[Batch, list[TrialResult]]]:
        while queue:
            batch = queue.popleft()
            batches.append(batch)
            result = TrialResult(oom() | {"gpus": batch.gpus})
            yield batch, [result for _ in batch.trials]

    monkeypatch.setattr(run_module, "results", results)
    return batches


def go(asked: Sweep, store: Store) -> tuple[Outcome, str]:
    said = io.StringIO()
    return (
        run(asked, store, None, False, False, Progress(Console(file=said, width=400))),
        said.getvalue(),
    )


def one(resources: str, tasks: str = "[{task: sphere}]") -> Sweep:
    return parse_sweep(
        f"name: a\nseeds: [0]\nresources: {{{resources}}}\ntasks: {tasks}\n", "sweep.yaml"
    )


def rows_of(store: Store) -> pd.DataFrame:
    return store.read().rows.sort_values("attempt")


def test_out_of_memory_raises_the_share_step_by_step_and_then_says_so(
    told: list[Batch], tmp_path: Path
):
    store = Store.create(tmp_path / "rows")
    outcome, said = go(one("gpus: 0.25"), store)
    rows = rows_of(store)
    assert [b.gpus for b in told] == rows["gpus"].tolist() == [0.25, 0.5, 1.0]
    assert rows["attempt"].tolist() == [1, 2, 3] and dict(outcome.failed) == {"oom": 1}
    assert (
        rows["failure_message"].iloc[-1]
        == "ran out of memory with each of 1/4 GPU, 1/2 GPU, 1 GPU; no memory"
    )
    assert "oom, trying again with 1/2 GPU: no memory" in said


def test_a_run_after_that_tries_once_more_and_then_leaves_it(told: list[Batch], tmp_path: Path):
    store = Store.create(tmp_path / "rows")
    given_up = [go(one("gpus: 0.5"), store)[0].given_up for _ in range(3)]
    assert [b.gpus for b in told] == [0.5, 1.0, 0.5, 1.0] and given_up == [0, 0, 1]


def test_a_language_models_trial_goes_on_to_several_gpus(told: list[Batch], tmp_path: Path):
    store = Store.create(tmp_path / "rows")
    asked = one("gpus: 0.5, max_gpus: 8", GPT.replace("[64, 128]", "[64]"))
    go(asked, store)
    assert [b.gpus for b in told] == [0.5, 1.0, 2.0, 4.0], "the cluster has four"


def test_a_batch_of_several_is_cut_before_any_share_is_raised(told: list[Batch], tmp_path: Path):
    store = Store.create(tmp_path / "rows")
    go(
        parse_sweep(
            "name: a\nseeds: [0, 1]\nresources: {gpus: 0.5}\ntasks: [{task: sphere}]\n",
            "sweep.yaml",
        ),
        store,
    )
    assert [(len(b.trials), b.gpus) for b in told] == [
        (2, 0.5),
        (1, 0.5),
        (1, 0.5),
        (1, 1.0),
        (1, 1.0),
    ]


def test_reserved_memory_is_doubled_up_to_what_a_node_has(told: list[Batch], tmp_path: Path):
    store = Store.create(tmp_path / "rows")
    outcome, said = go(one("memory_gb: 10"), store)
    assert [b.memory_gb for b in told] == [None, 20, 40, 64] and dict(outcome.failed) == {"oom": 1}
    assert "trying again with 20 GB" in said
    assert (
        rows_of(store)["failure_message"]
        .iloc[-1]
        .startswith("ran out of memory with each of 10 GB, 20 GB, 40 GB, 64 GB;")
    )


def test_without_a_reservation_out_of_memory_counts_as_before(told: list[Batch], tmp_path: Path):
    store = Store.create(tmp_path / "rows")
    go(one("cpus: 1"), store)
    assert [(b.gpus, b.memory_gb) for b in told] == [(0.0, None)] * 2, "limits.attempts"
