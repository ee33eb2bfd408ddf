"""What grows with the number of trials, and what more nodes cost: the driver's memory, and its
overhead per batch and per trial.

    make bench
    .venv/bin/python -m tests.benchmarks.scale [--memory TRIALS TRIALS] [--nodes ROUNDS]

Memory: ten thousand and a hundred thousand trials that do next to nothing go the whole way (plan,
Ray, rows), each number in a driver of its own that notes its resident set when its first batch
leaves, at every twentieth of the way, and at its highest; then once more on the full store, where
all that there is to do is to read it. Bounded means that finished trials leave nothing behind: from
a quarter of the way to its end the resident set does not grow.

Nodes: a cluster of three nodes of one CPU each, beside one node of three CPUs, both on this machine
and in turns: empty batches (dispatch alone), and trials that do next to nothing. A table, and a
line of JSON.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.run import run
from harness.store.store import Store
from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import Resources, Sweep, parse_sweep
from harness.sweeps.trial import Batch, RunSettings, Trial
from harness.terminal.progress import Progress
from tests.nodes import nodes

TASK_FILE = Path(__file__).with_name("mlp_task.py")
NOTHING = """
name: nothing
seeds: {{range: [0, {trials}]}}
limits: {{trials: 1000000, measure_points: 0, weights_mb: 0}}
tasks:
  - task: points
    fixed: {{n: 2, d: 2, width: 1, batch_size: 2}}
"""
SAMPLES = 20
BATCHES, TRIALS = 2000, 5000
"""Empty batches and small trials that each layout of nodes runs per round."""

LAYOUTS = {"three nodes of one CPU": (3, 1), "one node of three CPUs": (1, 3)}


def resident() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def highest() -> int:
    """Bytes of this process in memory at its fullest so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Watched(Progress):
    """Notes the resident set when the first batch leaves, and at every twentieth of the trials."""

    def __init__(self) -> None:
        super().__init__(Console(file=open(os.devnull, "w")))
        self.seen: list[tuple[int, int]] = []

    def start(self, work: Mapping[str, float], **counts: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().start(work, **counts)
        self.batches = counts["batches"]
        self.seen.append((0, resident()))

    def advance(self, trial: Trial, kind: str | None, message: str | None) -> None:
        super().advance(trial, kind, message)
        if self.done % max(1, self.total // SAMPLES) == 0:
            self.seen.append((self.done, resident()))


def nothing(trials: int) -> Sweep:
    """Trials that do next to nothing."""
    return parse_sweep(NOTHING.format(trials=trials), "benchmark", refs_in(TASK_FILE))


def driver(trials: int, folder: Path) -> dict[str, Any]:
    """Memory, in bytes, of a driver that runs so many trials into `folder`, or finds them all
    there."""
    before = resident()
    sweep = nothing(trials)
    expanded = resident()
    watched, clock = Watched(), time.perf_counter()
    outcome = run(sweep, Store.create(folder), None, False, False, watched)
    assert outcome.ok + outcome.finished_before == trials, outcome
    found = {
        "trials": trials,
        "ran": outcome.ok,
        "seconds": time.perf_counter() - clock,
        "imports": before,
        "expanded": expanded,
    }
    if outcome.ok:
        # by then buffers, caches and Ray's own have settled
        quarter = next(size for done, size in watched.seen if done >= trials / 4)
        found |= {
            "batches": watched.batches,
            "begun": watched.seen[0][1],
            "quarter": quarter,
            "ended": watched.seen[-1][1],
        }
        found |= {"row_files": sum(1 for _ in folder.glob("part-*.parquet")), "seen": watched.seen}
    return found | {"highest": highest()}


def dispatcher(address: str) -> dict[str, float]:
    """Milliseconds per empty batch and per small trial on the cluster at `address`."""
    from harness.dispatch.cluster import connect
    from harness.dispatch.run_batches import on_ray

    connect(address, Resources())
    given = RunSettings(
        cpus=1, gpus=0, seconds=600, weights_bytes=0, measure_points=0, checkpoints=None
    )

    def empty(batches: int) -> float:
        clock = time.perf_counter()
        assert (
            sum(1 for _ in on_ray(deque([Batch(())] * batches), address, Resources(), given))
            == batches
        )
        return 1000 * (time.perf_counter() - clock) / batches

    def small(trials: int) -> float:
        sweep, quiet = nothing(trials), Progress(Console(file=open(os.devnull, "w")))
        with tempfile.TemporaryDirectory() as folder:
            outcome = run(sweep, Store.create(Path(folder) / "rows"), address, False, False, quiet)
        assert outcome.ok == trials, outcome
        return 1000 * outcome.seconds / trials

    empty(100)  # so that workers are up and have torch loaded
    small(300)
    return {"ms per empty batch": empty(BATCHES), "ms per small trial": small(TRIALS)}


def alone(part: str, *arguments: object, environment: dict[str, str] | None = None) -> Any:
    """What a part finds in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.scale", "--part", part, *map(str, arguments)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def memory(sizes: list[int]) -> list[dict[str, Any]]:
    """What each number of trials takes, and what it takes to find them all done."""
    found = []
    for trials in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            rows = Path(scratch) / "rows"
            first = alone("driver", trials, rows)
            found.append(first | {"again": alone("driver", trials, rows)["highest"]})
    kinds = ("imports", "expanded", "begun", "quarter", "ended", "highest", "again")
    print(
        f"{'trials':>8} {'batches':>8} {'seconds':>8}"
        + "".join(f"{kind:>10}" for kind in kinds)
        + "   MB"
    )
    for f in found:
        print(
            f"{f['trials']:>8} {f['batches']:>8} {f['seconds']:>8.0f}"
            + "".join(f"{f[kind] / 1e6:>10.0f}" for kind in kinds)
        )
    if len(found) > 1:
        less, more = found[0], found[-1]
        each = {
            kind: (more[kind] - less[kind]) / (more["trials"] - less["trials"]) / 1e3
            for kind in kinds
        }
        print(
            f"{'each further trial':>26}"
            + "".join(f"{each[kind]:>10.2f}" for kind in kinds)
            + "   kB"
        )
    return found


def layouts(rounds: int) -> dict[str, Any]:
    """Medians of each layout of nodes, and three nodes over one."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in LAYOUTS}
    for _ in range(rounds):
        for name, (n, cpus) in LAYOUTS.items():
            with nodes(n, cpus) as cluster:
                found[name].append(
                    alone("dispatcher", cluster.address, environment=cluster.environment)
                )
    medians = {
        name: {key: statistics.median(r[key] for r in runs) for key in runs[0]}
        for name, runs in found.items()
    }
    three, one = (medians[name] for name in LAYOUTS)
    ratios = {key: three[key] / one[key] for key in one}
    for name, values in medians.items():
        print(f"{name:<24}" + "".join(f"   {values[key]:6.2f} {key}" for key in values))
    print(
        f"{'three nodes / one':<24}"
        + "".join(f"   {ratio:6.2f} {' ' * len(key)}" for key, ratio in ratios.items())
    )
    return {"rounds": found, "medians": medians, "ratios": ratios}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    match asked.part:
        case ["driver", trials, folder]:
            print(json.dumps(driver(int(trials), Path(folder))))
        case ["dispatcher", address]:
            print(json.dumps(dispatcher(address)))
        case _:
            print(
                json.dumps(
                    {
                        "memory": memory(asked.memory),
                        "nodes": layouts(asked.nodes) if asked.nodes else None,
                    }
                )
            )


if __name__ == "__main__":
    main()
