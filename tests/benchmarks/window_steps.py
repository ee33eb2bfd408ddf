"""The training step of GPTs on windows: stacks against the same models one by one, and where a
model's step spends its time.

    .venv/bin/python -m tests.benchmarks.window_steps

Processor seconds of one thread, the least of four epochs of four steps. A table, and a line of
JSON.
"""

import json
import time

import torch
from torch.profiler import ProfilerActivity, profile

from harness.task import Data, Seeds
from harness.training.program import for_training
from harness.training.running_stack import RunningStack
from harness.training.stack import stack
from harness.training.stack_step import StackGroup
from tasks.text import TextConfig, TextWindows

TASK = TextWindows()
STACKS = [(8, 8), (32, 4)]
"""Width of the models, and how many make a stack."""

KINDS = {
    "matrix products": ("aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm"),
    "GELU": ("aten::gelu", "aten::gelu_backward"),
    "copies": ("aten::copy_",),
}


def running(config: TextConfig, data: Data, count: int) -> RunningStack:
    models = [for_training(TASK.model(config)) for _ in range(count)]
    program = stack(models, data.x_train[:4])
    return RunningStack(program, [StackGroup.of(config, data, Seeds(0))], count)


def least_seconds(trained: RunningStack, batch_size: int) -> float:
    seconds = []
    for _ in range(5):
        clock = time.process_time()
        trained.epoch(batch_size)
        seconds.append(time.process_time() - clock)
    return min(seconds[1:])


def shares(trained: RunningStack, batch_size: int) -> dict[str, float]:
    """Return which share of an epoch each kind of operation takes."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        trained.epoch(batch_size)
    took = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
    total = sum(took.values())
    return {
        kind: sum(took.get(name, 0.0) for name in names) / total for kind, names in KINDS.items()
    }


def main() -> None:
    torch.set_num_threads(1)
    results = []
    for width, count in STACKS:
        config = TextConfig(
            n=256, target_resample=0.3, stop="epochs", max_epochs=1, megabytes=2, width=width
        )
        data = TASK.data(config, Seeds(0))
        size = config.samples_per_step
        alone = running(config, data, 1)
        together = running(config, data, count)
        ratio = least_seconds(together, size) / (count * least_seconds(alone, size))
        spent = {"alone": shares(alone, size), "stacked": shares(together, size)}
        p = sum(weight.numel() for weight in TASK.model(config).parameters())
        results.append({"p": p, "models": count, "stack / alone": ratio, "shares": spent})

        print(f"{count} GPTs of {p:,} parameters: a stack takes {ratio:.2f} × one by one")
        for way, of_kinds in spent.items():
            listed = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in of_kinds.items())
            print(f"  {way}: {listed}", flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
