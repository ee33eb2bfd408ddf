"""What the whole path costs beside the work itself, as ratios in one run.

    make bench        # or: .venv/bin/python -m tests.benchmarks.overhead [TRIALS]

The same small trials four ways: a bare loop (data, train, measure); `unilaw run --inline`, which adds rows, weights
and provenance; `unilaw run` on local Ray with warm workers; and as many bare Ray tasks that do nothing, for scale.
Ray's start is measured apart. Prints a table, and one line of JSON.
"""

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ray
import torch
from rich.console import Console

from harness.execute import run_batch
from harness.progress import Progress
from harness.run import run
from harness.store import Store
from harness.sweep import Sweep, parse_sweep
from harness.trial import Batch

SWEEP = """
name: overhead
seeds: {{range: [0, {trials}]}}
tasks:
  - task: sphere
    fixed: {{n: 64, d: 8, width: 16, max_epochs: 20, stop: epochs}}
"""


def timed(work: Callable[[], object]) -> float:
    clock = time.perf_counter()
    work()
    return time.perf_counter() - clock


def through(sweep: Sweep, folder: Path, inline: bool) -> None:
    """The whole path, rows written."""
    quiet = Progress(Console(file=open(os.devnull, "w")))
    outcome = run(sweep, Store.create(folder), None, inline, False, quiet)
    assert outcome.ok == len(sweep.trials), outcome


def bare_ray(trials: int) -> tuple[float, float]:
    """Seconds to start Ray, and for as many empty tasks one after another through warm workers."""
    start = timed(lambda: ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR))
    nothing = ray.remote(num_cpus=1)(lambda: None)
    ray.get([nothing.remote() for _ in range(50)])
    tasks = timed(lambda: ray.get([nothing.remote() for _ in range(trials)]))
    ray.shutdown()
    return start, tasks


def main(trials: int) -> None:
    torch.set_num_threads(1)
    sweep = parse_sweep(SWEEP.format(trials=trials), "benchmark")
    one = [Batch((t,), (1,)) for t in sweep.trials]
    run_batch(one[0], 1, 0, 600, 0, killable=False)
    loop = timed(lambda: [run_batch(b, 1, 0, 600, 0, killable=False) for b in one])
    with tempfile.TemporaryDirectory() as folder:
        inline = timed(lambda: through(sweep, Path(folder) / "inline", True))
        on_ray = timed(lambda: through(sweep, Path(folder) / "ray", False))
    start, empty = bare_ray(trials)
    cores = os.cpu_count() or 1
    rows = {
        "bare loop, one core": loop,
        "unilaw --inline, rows written": inline,
        f"unilaw on Ray, {cores} cores, Ray's start included": on_ray,
        "Ray's own start": start,
        "as many empty Ray tasks": empty,
    }
    print(f"{trials} trials")
    for name, seconds in rows.items():
        print(f"  {name:<50} {seconds:8.2f} s  {1000 * seconds / trials:8.2f} ms/trial  {seconds / loop:6.2f} × loop")
    print(json.dumps({"trials": trials, "cores": cores, "seconds": rows, "ratios_to_loop": {k: v / loop for k, v in rows.items()}}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
