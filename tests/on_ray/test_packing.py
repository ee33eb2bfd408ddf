"""How batches with shares of GPUs are packed onto workers, and what happens to workers that die or
cannot start. The GPUs are Ray's word for it alone; no trial here computes on one.

Run alone: python -m pytest tests/on_ray/test_packing.py
"""

import os
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import ray
from ray import cloudpickle

from harness.dispatch import worker
from harness.dispatch.run_batches import on_ray
from harness.dispatch.worker_pool import WorkerPool
from harness.errors import UserError
from harness.sweeps.sweep import Resources, parse_sweep
from harness.sweeps.trial import Batch, RunSettings
from tests.on_ray.conftest import CPUS

pytestmark = pytest.mark.ray

SETTINGS = RunSettings(
    cpus=1, gpus=0.0, seconds=60, weights_bytes=0, measure_points=0, checkpoints=None
)
GPUS = RunSettings._fields.index("gpus")
"""Where a worker finds its share, without RunSettings: the import would load torch."""

TRIAL = parse_sweep("name: a\nseeds: [0]\ntasks:\n  - task: sphere\n", "sweep.yaml").trials[0]


class Bout(NamedTuple):
    """One batch's time at work."""

    gpus: float
    pid: int
    gpu_ids: tuple[str, ...]
    began: float
    ended: float


class Recorder(worker.Worker):
    """A worker that sleeps for as many milliseconds as its first trial's seed, and reports where
    and when it was at work.

    The configuration may ask it to wait until that many workers have begun (`meet`). It says how
    the batch ends (`end`): "ok", "death" of the worker, or a kind of failure.
    """

    def node(self, home: str) -> tuple[str, int]:
        """Do not load torch, which takes each process five seconds."""
        return ray.get_runtime_context().get_node_id(), os.getpid()

    def work(
        self, stacks: list[list[dict[str, Any]]], settings: tuple[Any, ...]
    ) -> list[tuple[Any, ...]]:
        began = time.time()
        trial = stacks[0][0]
        time.sleep(trial["seed"] / 1000)
        config = trial["config"]

        if "meet" in config:
            folder, workers = config["meet"]
            Path(folder, str(os.getpid())).touch()
            while len(os.listdir(folder)) < workers and time.time() < began + 120:
                time.sleep(0.02)
        if config["end"] == "death":
            os._exit(1)

        gpu_ids = tuple(map(str, ray.get_gpu_ids()))
        bout = (settings[GPUS], os.getpid(), gpu_ids, began, time.time())
        failure = {} if config["end"] == "ok" else {"failure_kind": config["end"]}
        return [({"bout": bout, **failure}, None, None) for _ in stacks[0]]


@pytest.fixture
def pack(ray_here: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Bout]]:
    """`pack([(0.25, 300), …])`: run batches with a share, milliseconds and reserved GB, if any,
    through the real dispatch. `ends` says how each of them ends; "ok" by default. Returns what each
    batch that survived reports of itself, in order of ending."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(worker, "Worker", Recorder)

    def run(
        batches: list[tuple[Any, ...]], cpus: int = 1, ends: Sequence[str] = (), **config: Any
    ) -> list[Bout]:
        queue = deque()
        ends = ends or ["ok"] * len(batches)
        for (gpus, milliseconds, *memory_gb), end in zip(batches, ends, strict=True):
            trial = replace(TRIAL, seed=milliseconds, config={**config, "end": end})
            queue.append(Batch(((trial,),), gpus, *memory_gb))

        results = list(on_ray(queue, None, Resources(cpus=cpus), SETTINGS))
        assert len(results) == len(batches) and not queue
        columns = [batch_results[0].columns for _, batch_results in results]
        return [Bout(*c["bout"]) for c in columns if "bout" in c]

    return run


def most_at_once(bouts: list[Bout]) -> dict[str, float]:
    """Return for each GPU the largest sum of shares that were at work on it at one time."""
    most: dict[str, float] = {}
    for bout in bouts:
        for gpu in bout.gpu_ids:
            beside = [b for b in bouts if gpu in b.gpu_ids and b.began <= bout.began < b.ended]
            shares = sum(b.gpus for b in beside)
            most[gpu] = max(most.get(gpu, 0.0), shares)
    return most


def pids(bouts: list[Bout]) -> set[int]:
    """Return the processes that were at work."""
    return {bout.pid for bout in bouts}


def test_two_halves_run_on_each_gpu_at_a_time_in_workers_that_stay(pack, tmp_path):
    bouts = pack([(0.5, 10)] * 12, meet=(str(tmp_path), 4))
    assert most_at_once(bouts) == {"0": 1.0, "1": 1.0}
    assert len(pids(bouts)) == 4, "one process for each share, and none for each of the 12 batches"
    gpus_of_processes = {bout.pid: bout.gpu_ids for bout in bouts}
    assert Counter(gpus_of_processes.values()) == {("0",): 2, ("1",): 2}
    assert {bout.gpus for bout in bouts} == {0.5}


@pytest.mark.soak
def test_a_mixture_of_shares_ends_and_never_fills_a_gpu_twice(pack):
    mixture = [(1.0, 200), (0.5, 200), (0.25, 100), (0.125, 50), (1.0, 200), (0.25, 100)]
    bouts = pack(mixture)
    assert sorted(bout.gpus for bout in bouts) == sorted(gpus for gpus, _ in mixture)
    assert max(most_at_once(bouts).values()) <= 1.0


@pytest.mark.soak
def test_a_whole_gpu_does_not_wait_for_all_the_small_ones_behind_it(pack):
    bouts = pack([(0.5, 100)] * 8 + [(1.0, 100)] + [(0.5, 100)] * 12)
    whole = next(bout for bout in bouts if bout.gpus == 1.0)
    later = [bout for bout in bouts if bout.began > whole.began]
    assert len(later) == 12, "nothing behind it in the queue overtook it"


@pytest.mark.parametrize(
    ("gpus", "kind"), [(0.0, "timeout"), pytest.param(1.0, "oom", marks=pytest.mark.soak)]
)
def test_a_worker_stays_after_a_failure_and_is_replaced_after_a_loss(pack, gpus: float, kind: str):
    # one at a time: each batch takes all CPUs
    ends = ["ok", "nan", kind, "ok", "death", "ok"]
    bouts = pack([(gpus, 10)] * len(ends), cpus=CPUS, ends=ends)
    first, failed, lost, second, third = [bout.pid for bout in bouts]
    assert first == failed == lost, "a trial's own failure costs nobody a worker"
    assert len({lost, second, third}) == 3, "a lost batch and a death do"


def test_a_worker_that_dies_while_it_waits_takes_no_batch_with_it(
    pack, monkeypatch: pytest.MonkeyPatch
):
    killed: list[int] = []
    refresh = WorkerPool._kill_useless

    def kill_one_and_refresh(pool: WorkerPool) -> None:
        if pool.idle and not killed:
            plain = [[{"seed": 0, "config": {"end": "ok"}}]]
            ((columns, _, _),) = ray.get(pool.idle[0].handle.work.remote(plain, tuple(SETTINGS)))
            killed.append(Bout(*columns["bout"]).pid)
            os.kill(killed[0], signal.SIGKILL)
            time.sleep(1.0)  # Ray hears of it in a tenth of that
        refresh(pool)

    monkeypatch.setattr(WorkerPool, "_kill_useless", kill_one_and_refresh)
    bouts = pack([(0.0, 10)] * 2, cpus=CPUS)
    assert len(bouts) == 2
    assert killed and killed[0] not in pids(bouts)


class Homeless(Recorder):
    """A worker on a node that lacks unilaw."""

    def node(self, home: str) -> tuple[str, int]:
        raise ImportError("unilaw is not installed on this node")


@pytest.mark.soak
def test_workers_that_cannot_start_end_the_run_with_the_reason(
    pack, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(worker, "Worker", Homeless)
    reason = "Ray workers exit during start-up: ImportError: unilaw is not installed on this node"
    with pytest.raises(UserError, match=reason):
        pack([(0.0, 10)] * 6)


@pytest.mark.soak
def test_batches_that_differ_in_reserved_memory_alone_all_end(pack):
    batches = [(0.0, 10, None), (0.0, 10, 0.1), (0.0, 10, None), (0.0, 10, 0.2), (0.0, 10, 0.2)]
    assert len(pack(batches, cpus=2)) == 5
