"""What planning a sweep of 100 000 cells takes: expanding, counting, batching; seconds and peak
memory.

make bench        # or: .venv/bin/python -m tests.benchmarks.planning
"""

import json
import resource
import time

from harness.planning.plan import plan
from harness.sweeps.sweep import parse_sweep

SWEEP = """
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


def main() -> None:
    clock = time.perf_counter()
    sweep = parse_sweep(SWEEP, "benchmark")
    expanded = time.perf_counter()
    made = plan(sweep, say=print)
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"{len(made.cells)} cells: {expanded - clock:.1f} s to expand, {done - expanded:.1f} s to"
        f" plan, {peak / 1e9:.2f} GB at most"
    )
    print(
        json.dumps(
            {
                "cells": len(made.cells),
                "expand_s": expanded - clock,
                "plan_s": done - expanded,
                "peak_bytes": peak,
            }
        )
    )


if __name__ == "__main__":
    main()
