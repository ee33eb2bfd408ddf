"""Making a stack of 1 024 MLPs, against torch's own `stack_module_state`, which checks nothing.

    .venv/bin/python -m tests.benchmarks.stacking [models]

`stack` tests that every model computes in the stack what it does alone, on one model of each kind.
Calling each model by itself, as `stack` once did, is timed beside it. Processor seconds of one
thread, the least of five rounds that take turns. A table, and a line of JSON.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from harness.training.stack import stack
from tasks.models import mlp

KINDS: dict[str, tuple[int, Callable[[int], int]]] = {
    "20 inputs, width 50": (20, lambda m: 50),
    "784 inputs, width 50": (784, lambda m: 50),
    "20 inputs, widths 8 to 519": (20, lambda m: 8 + m // 2),
}
ROUNDS = 5


def each_alone(models: list[nn.Module], probe: Tensor) -> None:
    """Call every model by itself at weights that are not its own."""
    with torch.no_grad():
        for model in models:
            weights = {name: p.detach() for name, p in model.named_parameters()}
            output = functional_call(model.train(), weights, (probe,))
            float(output.abs().max())


def least_seconds(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the fewest processor seconds of every way."""
    seconds = {name: float("inf") for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            gc.collect()
            clock = time.process_time()
            way()
            seconds[name] = min(seconds[name], time.process_time() - clock)
    return seconds


def main(count: int) -> None:
    torch.set_num_threads(1)
    gc.freeze()
    results = {}
    for kind, (inputs, width) in KINDS.items():
        models: list[nn.Module] = [mlp(inputs, width(m), 1, 1) for m in range(count)]
        probe = torch.randn(4, inputs)
        ways: dict[str, Callable[[], Any]] = {
            "stack": lambda models=models, probe=probe: stack(models, probe),
            "each model alone": lambda models=models, probe=probe: each_alone(models, probe),
        }
        if width(0) == width(count - 1):
            ways["stack_module_state"] = lambda models=models: stack_module_state(models)

        seconds = least_seconds(ways)
        results[kind] = seconds
        print(f"{count} MLPs, {kind}", flush=True)
        for name, took in seconds.items():
            print(f"  {name:<20} {took:7.3f} s  {took / seconds['stack']:6.2f} × stack", flush=True)
    print(json.dumps({"models": count, "seconds": results}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1024)
