"""What planning takes: a sweep of 100 000 cells, and sweeps of one width after another, in which
every size differs. Seconds, peak memory, and how the seconds grow.

make bench        # or: .venv/bin/python -m tests.benchmarks.planning [--only grid|widths]

Each sweep is planned in a process of its own. An exponent of 1 means that twice the widths take
twice the seconds.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time

from harness.planning.plan import plan
from harness.sweeps.sweep import parse_sweep

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

COUNTS = (15_000, 30_000, 60_000)


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
    parser.add_argument("--only", choices=("grid", "widths"))
    parser.add_argument("--part", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        print(json.dumps(timed(asked.part)))
        return

    found = {}
    if asked.only != "widths":
        found["grid"] = [apart(GRID)]
    if asked.only != "grid":
        found["widths"] = [apart(WIDTHS.format(end=4 + count)) for count in COUNTS]
        less, more = found["widths"][-2:]
        growth = math.log(more["plan_s"] / less["plan_s"]) / math.log(more["cells"] / less["cells"])
        print(f"seconds ∝ widths^{growth:.2f}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
