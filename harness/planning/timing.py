"""Timing this machine: real training epochs and real measurements of small networks.

The seconds are fitted by non-negative costs per step, per FLOP, per parameter, per model and per
byte of activations: of models alone, and of stacks.
"""

import select
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import nnls
from torch import nn

from harness import HOME
from harness.measures import measure
from harness.measures.counts import count_parameters, count_saved_bytes, count_training_flops
from harness.measures.dataset import describe
from harness.noise import Noise
from harness.planning.cores import cores_here
from harness.planning.costs import Calibration, Cost
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.trial import MEASURE_POINTS
from harness.task import Data, Seeds
from harness.training.loop import StackGroup, time_epoch
from harness.training.stack import stack

ALONE = [
    (16, 16, 64),
    (16, 512, 64),
    (8, 2048, 64),
    (784, 8, 64),
    (784, 64, 64),
    (784, 64, 256),
    (784, 512, 64),
    (784, 512, 256),
]
"""(d, width, batch size) of the MLPs that are timed alone."""

STACKED = [
    (16, 8, 64),
    (16, 128, 64),
    (8, 512, 64),
    (16, 128, 256),
    (784, 4, 64),
    (784, 16, 64),
    (784, 32, 256),
    (784, 64, 64),
]
"""(d, width, batch size) of the MLPs that are timed in stacks of 4 and of 16."""

MEASURED = [
    (16, 16, 1),
    (16, 16, 8),
    (16, 512, 8),
    (784, 64, 1),
    (784, 64, 4),
    (784, 512, 1),
]
"""(d, width, models) of the stacks of MLPs whose measuring is timed."""

LIMIT_S = 180.0
"""Seconds that timing may take. A quiet machine needs a small part of them."""

START_S = 60.0
"""Seconds that a process may take until it trains: it loads torch."""

IMAGE = (1, 28, 28)
"""Shape of the CNNs' inputs."""

WINDOW = (16, 8)
"""Tokens and width of the GPTs' inputs."""


def measured(threads: int) -> Calibration:
    """Time this machine now. Other work on it meanwhile makes stacking look expensive.

    Raises TimeoutError when it takes longer than LIMIT_S.
    """
    deadline = time.monotonic() + LIMIT_S
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return Calibration(
            alone=_fit_before(
                deadline, (_training([_mlp(d, width)], (d,), batch) for d, width, batch in ALONE)
            ),
            stacked=_fit_before(
                deadline,
                (
                    _training([_mlp(d, width) for _ in range(models)], (d,), batch)
                    for d, width, batch in STACKED
                    for models in (4, 16)
                ),
            ),
            convolution_alone=_fit_before(deadline, (_convolutions(c, 1) for c in (1, 2, 8))),
            convolution_stacked=_fit_before(
                deadline, (_convolutions(c, m) for c, m in ((1, 2), (1, 8), (4, 4)))
            ),
            attention_alone=_fit_before(deadline, (_attention(width, 1) for width in (8, 32, 64))),
            attention_stacked=_fit_before(
                deadline, (_attention(w, m) for w, m in ((8, 2), (8, 6), (32, 3)))
            ),
            measuring=_fit_before(
                deadline,
                (
                    _measuring([_mlp(d, width) for _ in range(models)], (d,))
                    for d, width, models in MEASURED
                ),
            ),
            slowdown=_slowdown(threads),
        )
    finally:
        torch.set_num_threads(before)


class _Timed(NamedTuple):
    """The seconds of one call, and what they are fitted by."""

    seconds: float
    flops: float
    numbers: float
    models: int
    saved_bytes: float = 0.0


def _convolutions(c: int, models: int) -> _Timed:
    return _training([_cnn(c) for _ in range(models)], IMAGE)


def _attention(width: int, models: int) -> _Timed:
    return _training([_gpt(width) for _ in range(models)], WINDOW, steps=4)


def _fit_before(deadline: float, timings: Iterable[_Timed]) -> Cost:
    """Fit to timings, each of which is made when it is asked for. Raises TimeoutError after the
    deadline."""
    timed = []
    for timing in timings:
        timed.append(timing)
        if time.monotonic() > deadline:
            raise TimeoutError(f"this machine could not be timed within {LIMIT_S:.0f} s")
    return _fit(timed)


def _fit(timed: Sequence[_Timed]) -> Cost:
    """Fit by non-negative least squares on relative errors, so that a microsecond counts as much as
    a second."""
    features = np.array([[1.0, t.flops, t.numbers, t.models, t.saved_bytes] for t in timed])
    features /= np.array([[t.seconds] for t in timed])
    if len({t.models for t in timed}) == 1:
        features[:, 3] = 0.0  # a cost per model cannot be told from a fixed one

    largest = features.max(axis=0)
    scale = np.where(largest > 0, largest, 1.0)
    coefficients, _ = nnls(features / scale, np.ones(len(timed)))
    return Cost(*(coefficients / scale).tolist())


def _mlp(d: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(d, width), nn.ReLU(), nn.Linear(width, 1))


def _cnn(c: int) -> nn.Module:
    convolutions = (
        nn.Conv2d(1, 2 * c, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(2 * c, 4 * c, 5, padding=2),
        nn.ReLU(),
    )
    return nn.Sequential(*convolutions, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(49 * 4 * c, 1))


def _gpt(width: int) -> nn.Module:
    task = load(TaskRef("text"))
    return task.model(task.Config.model_validate({"stop": "epochs", "width": width}))


def _data(shape: tuple[int, ...], n: int, classes: int | None = None) -> Data:
    draw = torch.Generator().manual_seed(0)
    x_train = torch.randn(n, *shape, generator=draw)
    x_test = torch.randn(MEASURE_POINTS, *shape, generator=draw)
    if classes:
        return Data(
            x_train,
            torch.randint(classes, (n,), generator=draw),
            x_test,
            torch.randint(classes, (MEASURE_POINTS,), generator=draw),
            Noise("label_resample", 1.0, 1 - 1 / classes),
            classes=classes,
        )
    return Data(
        x_train,
        torch.randint(2, (n,), generator=draw) * 2.0 - 1,
        x_test,
        torch.randint(2, (MEASURE_POINTS,), generator=draw) * 2.0 - 1,
        Noise("label_flip", 0.5, 0.5, sigma2=1.0),
    )


def _training(
    models: list[nn.Module], shape: tuple[int, ...], batch: int = 64, steps: int = 12
) -> _Timed:
    """Time one optimiser step of a stack that shares its batches."""
    with torch.no_grad():
        outputs = models[0](torch.zeros(1, *shape)).shape[1]
    data = _data(shape, batch * steps, outputs if outputs > 1 else None)
    group = StackGroup(data, Seeds(0).generator("order"), 1e-3)
    seconds = time_epoch(stack(models, data.x_train[:4]), group, batch) / steps

    samples = len(models) * batch
    return _Timed(
        seconds,
        flops=samples * count_training_flops(models[0], shape),
        numbers=len(models) * count_parameters(models[0]).trainable,
        models=len(models),
        saved_bytes=samples * count_saved_bytes(models[0], shape),
    )


def _measuring(models: list[nn.Module], shape: tuple[int, ...]) -> _Timed:
    """Time the measuring of a stack's models."""
    data = _data(shape, 512)
    program = stack(models, data.x_train[:4])
    describe(data)  # once per data set, and for a process's first one a slow import

    clock = time.perf_counter()
    measure(program, [data] * len(models), [Seeds(0)] * len(models), MEASURE_POINTS)
    seconds = time.perf_counter() - clock

    points = len(models) * MEASURE_POINTS
    return _Timed(
        seconds,
        flops=points * count_training_flops(models[0], shape),
        numbers=points * data.x_test[0].numel(),
        models=len(models),
        saved_bytes=points * count_saved_bytes(models[0], shape),
    )


def _slowdown(threads: int) -> float:
    """Return the time of training steps while other processes do the same on all other cores, over
    their time alone."""
    others = cores_here() // threads - 1
    alone = _some_steps()
    command = [sys.executable, "-m", __name__, str(threads)]
    busy = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HOME) for _ in range(others)]
    try:
        for process in busy:
            assert process.stdout is not None
            if not select.select([process.stdout], [], [], START_S)[0]:
                raise TimeoutError(
                    f"a process of this machine did not start within {START_S:.0f} s"
                )
        return max(1.0, _some_steps() / alone)
    finally:
        for process in busy:
            process.kill()
            process.communicate()


def _some_steps() -> float:
    return sum(
        _training([_mlp(d, 64) for _ in range(models)], (d,)).seconds
        for d, models in ((784, 1), (784, 8), (16, 8))
    )


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    print(flush=True)
    while True:
        _some_steps()
