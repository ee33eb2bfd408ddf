"""Timing a device: real training epochs and real measurements of small networks.

The seconds are fitted by non-negative costs per step, per FLOP, per parameter, per model and per
byte of activations: of models alone, and of stacks. What is timed on which device is in
`timed_cases.py`.

    python -m harness.planning.timing cpu 1      trains on one core until it is killed
"""

import itertools
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import nnls
from torch import nn

from harness.measures import measure, on_device
from harness.measures.counts import count_parameters, count_saved_bytes, count_training_flops
from harness.measures.dataset import describe
from harness.noise import Noise
from harness.planning.busy_device import slowdown_beside_others
from harness.planning.costs import Calibration, Cost
from harness.planning.devices import Device
from harness.planning.timed_cases import ON_CPU, ON_GPU, Mlps
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.trial import MEASURE_POINTS
from harness.task import Data, Seeds
from harness.training.running_stack import RunningStack
from harness.training.stack import stack
from harness.training.stack_step import StackGroup

VOCABULARY_CALLS = 1300
"""Measuring a model of a vocabulary makes as many calls as this many training steps: the products
of Lanczos's method, and the searches."""

VOCABULARY_STEPS = 320
"""What these calls do for each point is as much as this many training steps do. Both numbers are
fitted to 22 measurements of gpt-law on a quiet processor, within a factor of 1.3 (LOG.md)."""

VOCABULARY_POINTS = 64
"""Points that models of a vocabulary are measured on to be timed."""

LIMIT_S = 300.0
"""Seconds that timing may take. A quiet machine needs a small part of them."""

IMAGE = (1, 28, 28)
"""Shape of the CNNs' inputs."""

WINDOW = (16, 8)
"""Tokens and width of the GPTs' inputs."""


def measured(device: Device) -> Calibration:
    """Time this device now.

    Other work on a processor meanwhile hardly counts, where a trial has one thread: what is timed
    then are the seconds of this process alone. On a GPU it makes everything look expensive.

    Raises TimeoutError when it takes longer than LIMIT_S.
    """
    deadline = time.monotonic() + LIMIT_S
    before = torch.get_num_threads()
    torch.set_num_threads(device.threads)
    try:
        return _measured(_Timer(device), deadline)
    finally:
        torch.set_num_threads(before)
        if device.kind == "cuda":
            torch.cuda.empty_cache()  # the run's own workers need the room


def clock_of(device: Device) -> Callable[[], float]:
    """Return a clock of the seconds that a device works.

    A GPU's calls return before their work is done, so its clock waits for them. A single thread's
    seconds are those of the processor, so that other programs on the machine do not count.
    """
    if device.kind == "cuda":

        def synchronised() -> float:
            torch.cuda.synchronize()
            return time.perf_counter()

        return synchronised
    return time.process_time if device.threads == 1 else time.perf_counter


def _measured(timer: "_Timer", deadline: float) -> Calibration:
    cases = ON_GPU if timer.device.kind == "cuda" else ON_CPU
    starts: list[_Timed] = []

    def fit(timings: Iterable[_Timed]) -> Cost:
        return _fit_before(deadline, timings)

    def steps(timings: Iterable[_Steps]) -> Iterable[_Timed]:
        for timed in timings:
            starts.append(timed.start)
            yield timed.step

    alone = fit(steps(timer.mlps(case) for case in cases.alone))
    convolution_alone = fit(steps(timer.cnns(c, models) for c, models in cases.cnns_alone))
    attention_alone = fit(steps(timer.gpts(width, models) for width, models in cases.gpts_alone))
    starts.clear()  # of stacks alone
    stacked = fit(steps(timer.mlps(case) for case in cases.stacked))
    convolution_stacked = fit(steps(timer.cnns(c, models) for c, models in cases.cnns_stacked))
    attention_stacked = fit(steps(timer.gpts(w, models) for w, models in cases.gpts_stacked))

    calls = VOCABULARY_CALLS * attention_alone.fixed
    vocabulary = attention_alone.times(VOCABULARY_STEPS)._replace(fixed=0.0, per_model=calls)
    if cases.vocabulary:
        vocabulary = fit(timer.measuring_gpts(width, models) for width, models in cases.vocabulary)
    slowdown, processes = slowdown_beside_others(timer.device, timer.some_steps)
    return Calibration(
        alone=alone,
        stacked=stacked,
        convolution_alone=convolution_alone,
        convolution_stacked=convolution_stacked,
        attention_alone=attention_alone,
        attention_stacked=attention_stacked,
        measuring=fit(timer.measuring_mlps(case) for case in cases.measured),
        vocabulary=vocabulary,
        starting=_fit([start._replace(flops=0, numbers=0, saved_bytes=0) for start in starts]),
        slowdown=slowdown,
        processes=processes,
    )


class _Timed(NamedTuple):
    """The seconds of one call, and what they are fitted by."""

    seconds: float
    flops: float
    numbers: float
    models: int
    saved_bytes: float = 0.0


class _Steps(NamedTuple):
    """One optimiser step of a stack, and what comes before it once."""

    step: _Timed
    start: _Timed


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


class _Sizes(NamedTuple):
    """What a model counts as, on the processor, as in a plan: a GPU's kernels keep other bytes."""

    outputs: int
    parameters: int
    flops: int
    """Of one sample."""
    saved_bytes: int
    numbers: int

    @classmethod
    def of(cls, model: nn.Module, shape: tuple[int, ...]) -> "_Sizes":
        with torch.no_grad():
            outputs = model(torch.zeros(1, *shape)).shape[1]
        return cls(
            outputs=outputs,
            parameters=count_parameters(model).trainable,
            flops=count_training_flops(model, shape),
            saved_bytes=count_saved_bytes(model, shape),
            numbers=math.prod(shape),
        )

    def timed(self, seconds: float, models: int, samples: int) -> _Timed:
        """Return what these models took for these samples of all of them. `numbers` are those of
        the inputs."""
        return _Timed(
            seconds,
            flops=samples * self.flops,
            numbers=samples * self.numbers,
            models=models,
            saved_bytes=samples * self.saved_bytes,
        )


class _Timer:
    """Times networks on one device."""

    def __init__(self, device: Device):
        self.device = device
        self.clock = clock_of(device)

    def mlps(self, case: Mlps) -> _Steps:
        """Time a step of these MLPs."""
        models = [_mlp(case.d, case.width) for _ in range(case.models)]
        return self._training(models, (case.d,), case.batch)

    def cnns(self, c: int, models: int) -> _Steps:
        """Time a step of CNNs of capacity `c`."""
        return self._training([_cnn(c) for _ in range(models)], IMAGE, steps=6)

    def gpts(self, width: int, models: int) -> _Steps:
        """Time a step of GPTs on windows."""
        return self._training([_gpt(width) for _ in range(models)], WINDOW, steps=4)

    def measuring_mlps(self, case: Mlps) -> _Timed:
        """Time the measuring of these MLPs."""
        models = [_mlp(case.d, case.width) for _ in range(case.models)]
        return self._measuring(models, _data((case.d,), 512), MEASURE_POINTS)

    def measuring_gpts(self, width: int, models: int) -> _Timed:
        """Time the measuring of GPTs on windows. Its `numbers` are parameters."""
        made = [_gpt(width) for _ in range(models)]
        about = _Sizes.of(made[0], WINDOW)
        timed = self._measuring(made, _data(WINDOW, 512, about.outputs), VOCABULARY_POINTS)
        return timed._replace(numbers=models * about.parameters)

    def some_steps(self) -> float:
        """Return the seconds of a few steps, small ones and larger ones."""
        few = ((784, 1), (784, 8), (16, 8))
        if self.device.kind == "cuda":
            few = ((784, 1), (784, 64), (16, 256))
        return sum(self.mlps(Mlps(d, 64, models=models)).step.seconds for d, models in few)

    def _training(
        self, models: list[nn.Module], shape: tuple[int, ...], batch: int = 64, steps: int = 12
    ) -> _Steps:
        """Time one optimiser step of a stack that shares its batches: the median of five epochs,
        after as many as record the step, at least one."""
        about = _Sizes.of(models[0], shape)
        data = _data(shape, batch * steps, about.outputs if about.outputs > 1 else None)
        data = on_device(data, self.device.torch_device)
        models = [model.to(self.device.torch_device) for model in models]

        began = self.clock()
        program = stack(models, data.x_train[:4])
        group = StackGroup(data, Seeds(0).generator("order"), 1e-3)
        running = RunningStack(program, [group], len(models))
        epochs_before = 0
        while not running.is_warm:
            running.epoch(batch)
            epochs_before += 1
        ends = [self.clock()]
        for _ in range(5):
            running.epoch(batch)
            ends.append(self.clock())

        epoch = statistics.median(end - begin for begin, end in itertools.pairwise(ends))
        start = ends[0] - began - epochs_before * epoch
        step = about.timed(max(epoch, 1e-9) / steps, len(models), len(models) * batch)
        step = step._replace(numbers=len(models) * about.parameters)
        return _Steps(step, step._replace(seconds=max(start, 1e-4)))

    def _measuring(self, models: list[nn.Module], data: Data, points: int) -> _Timed:
        """Time the measuring of a stack's models: the second time, since the first one in a process
        imports and describes the data."""
        about = _Sizes.of(models[0], tuple(data.x_train.shape[1:]))
        data = on_device(data, self.device.torch_device)
        program = stack([model.to(self.device.torch_device) for model in models], data.x_train[:4])
        describe(data)
        samples, seeds = [data] * len(models), [Seeds(0)] * len(models)

        seconds = []
        for _ in range(2):
            began = self.clock()
            measure(program, samples, seeds, points)
            seconds.append(self.clock() - began)

        return about.timed(min(seconds), len(models), len(models) * points)


def _train_until_killed(kind: str, threads: int) -> None:
    """Say when this process is at work on the device, and train on."""
    torch.set_num_threads(threads)
    timer = _Timer(Device("cuda" if kind == "cuda" else "cpu", "", threads))
    timer.some_steps()
    print(flush=True)
    while True:
        timer.some_steps()


if __name__ == "__main__":
    _train_until_killed(sys.argv[1], int(sys.argv[2]))
