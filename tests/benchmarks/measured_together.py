"""Models that were trained apart, measured one by one and together.

    .venv/bin/python -m tests.benchmarks.measured_together [sphere mnist gpt]

One thread, processor seconds, with the numbers of points that sweeps have by default (`gpt`: a
quarter of them). The sizes of the training sets alternate. Above 1, measuring together is faster.
"""

import json
import sys
import time
from typing import Any

import torch

from harness.execution.measuring import measure_together
from harness.execution.prepared import Prepared, prepare
from harness.sweeps.point_counts import PointCounts
from harness.sweeps.sweep import parse_sweep
from harness.training.loop import StackGroup, train
from harness.training.stack import Alone

EPOCHS = {"stop": "epochs", "max_epochs": 5}
TEXT = {"n": 400, "target_resample": 0.3}

FAMILIES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "sphere": ("sphere", [{"n": n, "d": 16, "width": w} for n in (256, 512) for w in (64, 128)]),
    "mnist": ("mnist", [{"n": n, "width": w} for n in (1000, 2000) for w in (16, 64)]),
    "gpt": ("text", [{**TEXT, "width": 16, "lr": lr} for lr in (3e-4, 1e-3, 3e-3)]),
}


def trained(task: str, fields: dict[str, Any]) -> Prepared:
    """Train one model by itself for a few epochs."""
    text = f"name: a\nseeds: [0]\ntasks:\n  - task: {task}\n    fixed: {fields | EPOCHS}\n"
    member = prepare(parse_sweep(text, "sweep.yaml").trials[0], torch.device("cpu"))
    group = StackGroup(member.data, member.seeds.generator("order"), member.config.lr)
    train(Alone(member.model), [group], [member.config])
    return member


def main(families: list[str]) -> None:
    torch.set_num_threads(1)
    results = {}
    for family in families:
        task, grid = FAMILIES[family]
        members = [trained(task, fields) for fields in grid]
        share = 4 if family == "gpt" else 1
        points = PointCounts(*(count // share for count in PointCounts()))
        measure_together(members, (4, 4, 4))  # what is done once for a data set, and imports

        clock = time.process_time()
        for member in members:
            measure_together([member], points)
        apart = time.process_time() - clock

        clock = time.process_time()
        measure_together(members, points)
        together = time.process_time() - clock

        results[family] = {"apart s": apart, "together s": together, "ratio": apart / together}
        print(f"{family}: {len(members)} models: {apart:.2f} s apart, {together:.2f} s together:"
              f" {apart / together:.2f}", flush=True)  # fmt: skip
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1:] or list(FAMILIES))
