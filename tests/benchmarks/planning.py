"""What planning takes: a sweep of 100 000 cells, one of 1 000 different widths, and making stacks
of up to 60 000 widths. Seconds, peak memory, and how the seconds grow.

make bench        # or: .venv/bin/python -m tests.benchmarks.planning [--only grid|widths|stacks]

Each sweep is planned in a process of its own. An exponent of 1 means that twice the widths take
twice the seconds. Models of different widths are each built on the meta device, so the time of a
sweep of widths is that of its models; the stacks are made of models that nobody built.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from typing import Any

from harness.planning.costs import Calibration
from harness.planning.plan import plan
from harness.planning.resolved import ResolvedTrial
from harness.planning.stacks import StackLimit, cut, uncut_stacks
from harness.planning.times import StackMember, TrialTimes
from harness.sweeps.registry import load
from harness.sweeps.sweep import parse_sweep
from tests.planning.machines import LIKE_A_LAPTOP, PADDING_IS_FREE
from tests.planning.shapes import shape_with

GRID = """
name: large
seeds: [0]
limits: {trials: 1000000}
tasks:
  - task: sphere
    grid:
      n: {geomspace: [128, 8192, 10]}
      d: {geomspace: [4, 128, 10]}
      width: {geomspace: [4, 4096, 20]}
      depth: [1, 2]
      lr: {geomspace: [0.0001, 0.01, 5]}
      noise: [0.25, 0.5, 0.75, 1.0]
      batch_size: [64]
  - task: mnist
    fixed: {source: mnist-5k}
    grid:
      n: [500, 1000, 2000, 4000]
      label_flip: [0.05, 0.1, 0.2, 0.3, 0.4]
      width: {geomspace: [4, 4096, 20]}
      depth: [1, 2, 3, 4, 5]
      lr: {geomspace: [0.0001, 0.01, 10]}
"""

WIDTHS = """
name: widths
seeds: [0]
limits: {{trials: 1000000}}
tasks:
  - {{task: sphere, fixed: {{n: 64, max_epochs: 20}}, grid: {{width: {{range: [4, {end}]}}}}}}
"""

WIDTHS_PLANNED = 1_000
WIDTHS_STACKED = (15_000, 30_000, 60_000)

MACHINES = {"like a laptop": LIKE_A_LAPTOP, "padding is free": PADDING_IS_FREE}


def stacking_seconds(widths: int, machine: Calibration) -> float:
    """Return the seconds of putting nets of so many widths into stacks."""
    (trial,) = parse_sweep(WIDTHS.format(end=5), "benchmark").trials
    task = load(trial.ref)
    config = trial.load_config()
    members = []
    for width in range(4, 4 + widths):
        sizes = ((width, 16), (width,), (1, width), (1,))
        numbers = 18 * width + 1
        shape = shape_with(numbers)._replace(sizes=sizes, flops_per_sample=6 * numbers)
        members.append(StackMember(ResolvedTrial(trial, task, config, shape), 20.0, "one group"))

    clock = time.perf_counter()
    times = TrialTimes(machine, 256)
    limit = StackLimit(30.0, 1.5e9, trials=256, most_seconds=30.0)
    planned = [piece for rows in uncut_stacks(members, times) for piece in cut(rows, times, limit)]
    seconds = time.perf_counter() - clock
    assert sum(len(p.batch.trials) for p in planned) == widths
    return seconds


def growth(seconds: dict[int, float]) -> float:
    """Return b of seconds ∝ widths^b between the two largest."""
    *_, less, more = sorted(seconds)
    return math.log(seconds[more] / seconds[less]) / math.log(more / less)


def timed(text: str) -> dict[str, float]:
    """Plan the sweep in this process."""
    clock = time.perf_counter()
    sweep = parse_sweep(text, "benchmark")
    expanded = time.perf_counter()
    made = plan(sweep, say=lambda line: print(line, file=sys.stderr))
    done = time.perf_counter()
    return {
        "cells": len(made.cells),
        "expand_s": expanded - clock,
        "plan_s": done - expanded,
        "peak_bytes": 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def apart(text: str) -> dict[str, float]:
    """Plan the sweep in a process of its own, and print what it took."""
    command = [sys.executable, "-m", "tests.benchmarks.planning", "--part", text]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    took = json.loads(done.stdout)
    print(
        f"{took['cells']:.0f} cells: {took['expand_s']:.1f} s to expand, {took['plan_s']:.1f} s to"
        f" plan, {took['peak_bytes'] / 1e9:.2f} GB at most",
        flush=True,
    )
    return took


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=("grid", "widths", "stacks"))
    parser.add_argument("--part", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        print(json.dumps(timed(asked.part)))
        return

    found: dict[str, Any] = {}
    if asked.only in (None, "grid"):
        found["grid"] = apart(GRID)
    if asked.only in (None, "widths"):
        found["widths"] = apart(WIDTHS.format(end=4 + WIDTHS_PLANNED))
    if asked.only in (None, "stacks"):
        for name, machine in MACHINES.items():
            seconds = {widths: stacking_seconds(widths, machine) for widths in WIDTHS_STACKED}
            shown = ", ".join(f"{widths} widths {took:.2f} s" for widths, took in seconds.items())
            print(f"stacks where {name}: {shown}; seconds ∝ widths^{growth(seconds):.2f}")
            found[f"stacks, {name}"] = seconds
    print(json.dumps(found))


if __name__ == "__main__":
    main()
