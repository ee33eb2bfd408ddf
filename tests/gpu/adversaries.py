"""Stacks that train against adversaries: twenty steps that are recorded against the same steps
launched one by one."""

import copy
from collections.abc import Iterator
from typing import Any

from torch import nn

from harness.measures import on_device
from harness.task import Seeds
from harness.training.adversary import adversary_of
from harness.training.recorded import PLAIN_STEPS
from harness.training.running_stack import RunningStack
from harness.training.stack import stack
from harness.training.stack_step import StackGroup
from tasks.mnist import Mnist, MnistConfig
from tests.gpu.line import Line, Place
from tests.gpu.recorders import recorder_here
from tests.training.recording import recorded_by

STEPS = 20

ADVERSARIES: dict[str, dict[str, Any]] = {
    "nobody": {},
    "FGSM": {"adversary": "fgsm", "adversary_radius": 0.1},
    "PGD of 7 steps": {"adversary": "pgd", "adversary_radius": 0.1, "adversary_steps": 7},
    "PGD in l2": {
        "adversary": "pgd",
        "adversary_norm": "l2",
        "adversary_radius": 1.0,
        "adversary_steps": 7,
    },
}


def run(place: Place) -> Iterator[Line]:
    count = place.sized(40, 2)
    for name, fields in ADVERSARIES.items():
        config = MnistConfig(
            n=place.sized(512, 24),
            batch_size=place.sized(256, 12),
            width=16,
            label_flip=0.2,
            **fields,
        )
        data = on_device(Mnist().data(config, Seeds(0)), place.device)
        models: list[nn.Module] = [Mnist().model(config).to(place.device) for _ in range(count)]

        running: dict[str, RunningStack] = {}
        seconds: dict[str, float] = {}
        for way, recorder in (("by steps", None), ("recorded", recorder_here(place))):
            group = StackGroup.of(config, data, Seeds(0))
            with recorded_by(recorder):
                program = stack(copy.deepcopy(models), data.x_train[:4])
                running[way] = RunningStack(program, [group], count)
                seconds[way] = _twenty_steps(place, running[way], config)

        for step in running["recorded"].recorded:
            if step.why_plain:
                yield Line(f"against {name}: not recorded", step.why_plain, "recorded", False)
        difference = max(
            float((p.detach() - running["recorded"].program.parameters[name]).abs().max())
            for name, p in running["by steps"].program.parameters.items()
        )
        what = f"{count} MLPs against {name}"
        yield Line.at_most(f"{what}: weights after {STEPS} steps", difference, 1e-5)
        ratio = seconds["by steps"] / seconds["recorded"]
        yield Line(f"{what}: a recorded step", f"{ratio:.3g} × as fast")


def _twenty_steps(place: Place, running: RunningStack, config: MnistConfig) -> float:
    """Train for twenty steps of two an epoch, and return the seconds of those that can be
    replays."""
    adversary = adversary_of(config)
    size = config.samples_per_step
    first = PLAIN_STEPS // 2 + 1
    for _ in range(first):
        running.epoch(size, adversary)

    def rest() -> None:
        for _ in range(STEPS // 2 - first):
            running.epoch(size, adversary)

    return place.seconds(rest)
