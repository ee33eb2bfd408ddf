"""How fast this machine trains and measures: some twenty seconds of timing, once per machine, then
read from a cache.

    calibration = calibrated(threads=1, say=print)
    calibration.alone.seconds(flops=1e6, numbers=1e4, models=1, saved_bytes=1e5)

The times of real training epochs and real measurements of small networks are fitted by non-negative
costs per step, per FLOP, per parameter, per model and per byte of activations: alone, and stacked.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import nnls
from torch import nn

from harness.measures import measure
from harness.measures.counts import count_parameters, count_saved_bytes, count_training_flops
from harness.measures.dataset import describe
from harness.noise import Noise
from harness.planning.model_shape import Shape
from harness.store import provenance
from harness.store.schema import MEASURES_VERSION
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.trial import MEASURE_POINTS
from harness.task import Data, Seeds
from harness.training.loop import StackGroup, time_epoch
from harness.training.stack import stack

ROOT = Path(__file__).resolve().parents[2]
CALIBRATION_VERSION = 4
"""Raised when what is timed, or how it is fitted, changes."""


class Cost(NamedTuple):
    """Seconds of one call: `fixed` once, and what each FLOP, parameter or number, model, and
    byte of activations adds."""

    fixed: float
    per_flop: float
    per_number: float
    per_model: float
    per_byte: float = 0.0

    def seconds(self, flops: float, numbers: float, models: int, saved_bytes: float = 0.0) -> float:
        """`numbers`: parameters for a training step, input numbers for measuring. `saved_bytes`:
        what autograd keeps."""
        work = (
            self.per_flop * flops
            + self.per_number * numbers
            + self.per_model * models
            + self.per_byte * saved_bytes
        )
        return self.fixed + work


class Calibration(NamedTuple):
    """Costs of one optimiser step of a model alone and of a stack, for linear layers,
    convolutions and attention; of measuring."""

    alone: Cost
    stacked: Cost
    convolution_alone: Cost
    convolution_stacked: Cost
    attention_alone: Cost
    attention_stacked: Cost
    measuring: Cost
    slowdown: float
    """How much longer everything takes when every core is busy."""

    def training(self, shape: Shape, stacked: bool) -> Cost:
        """Of the kind of layer that the model has."""
        kind = (
            "attention_"
            if "Attention" in shape.family
            else "convolution_"
            if "Conv2d" in shape.family
            else ""
        )
        return getattr(self, f"{kind}{'stacked' if stacked else 'alone'}")


def calibrated(threads: int, say: Callable[[str], None]) -> Calibration:
    """This machine's calibration for trials of `threads` threads, from the cache or measured now
    (and said)."""
    try:
        path = calibration_file(threads)
    except RuntimeError:  # a user without a home
        say("timing this machine; set XDG_CACHE_HOME to a folder, and it is kept there")
        return measured(threads)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(path.read_text())
        return Calibration(
            *(Cost(*kept[field]) for field in Calibration._fields[:-1]),
            slowdown=float(kept["slowdown"]),
        )
    say(f"timing this machine, once: kept in {path}")
    made = measured(threads)
    with contextlib.suppress(OSError):  # a machine without a writable home is timed every time
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"_tmp-{path.name}-{os.getpid()}")
        temporary.write_text(json.dumps(made._asdict()))
        os.replace(temporary, path)
    return made


def calibration_file(threads: int) -> Path:
    """Where this machine's calibration is kept, named after all that it depends on."""
    about = [
        CALIBRATION_VERSION,
        MEASURES_VERSION,
        provenance.of_worker("cpu")["cpu"],
        os.cpu_count(),
        torch.__version__,
        threads,
    ]
    name = f"calibration-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]}.json"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unilaw" / name


def measured(threads: int) -> Calibration:
    """Time this machine now. Other work on it meanwhile makes stacking look dear."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        wide = [
            (16, 16, 64),
            (16, 512, 64),
            (8, 2048, 64),
            (784, 8, 64),
            (784, 64, 64),
            (784, 64, 256),
            (784, 512, 64),
            (784, 512, 256),
        ]
        narrow = [
            (16, 8, 64),
            (16, 128, 64),
            (8, 512, 64),
            (16, 128, 256),
            (784, 4, 64),
            (784, 16, 64),
            (784, 32, 256),
            (784, 64, 64),
        ]
        alone = [_training([_mlp(d, width)], (d,), batch) for d, width, batch in wide]
        stacked = [
            _training([_mlp(d, width) for _ in range(m)], (d,), batch)
            for d, width, batch in narrow
            for m in (4, 16)
        ]
        images = (1, 28, 28)
        conv_alone = [_training([_cnn(c)], images) for c in (1, 2, 8)]
        conv_stacked = [
            _training([_cnn(c) for _ in range(m)], images) for c, m in ((1, 2), (1, 8), (4, 4))
        ]
        text = (16, 8)
        gpt_alone = [_training([_gpt(width)], text, steps=4) for width in (8, 32, 64)]
        gpt_stacked = [
            _training([_gpt(width) for _ in range(m)], text, steps=4)
            for width, m in ((8, 2), (8, 6), (32, 3))
        ]
        measuring = [
            _measuring([_mlp(d, w) for _ in range(m)], (d,))
            for d, w, m in (
                (16, 16, 1),
                (16, 16, 8),
                (16, 512, 8),
                (784, 64, 1),
                (784, 64, 4),
                (784, 512, 1),
            )
        ]
        costs = [
            _fit(t)
            for t in (alone, stacked, conv_alone, conv_stacked, gpt_alone, gpt_stacked, measuring)
        ]
        return Calibration(*costs, slowdown=_slowdown(threads))
    finally:
        torch.set_num_threads(before)


class _Timed(NamedTuple):
    seconds: float
    flops: float
    numbers: float
    models: int
    saved_bytes: float = 0.0


def _fit(timed: Sequence[_Timed]) -> Cost:
    """Non-negative least squares on relative errors, so that a microsecond counts as much as a
    second."""
    features = np.array(
        [[1.0, t.flops, t.numbers, t.models, t.saved_bytes] for t in timed]
    ) / np.array([[t.seconds] for t in timed])
    if len({t.models for t in timed}) == 1:
        features[:, 3] = 0.0
    scale = np.where(features.max(axis=0) > 0, features.max(axis=0), 1.0)
    found, _ = nnls(features / scale, np.ones(len(timed)))
    return Cost(*(found / scale).tolist())


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
    x, x_test = (
        torch.randn(n, *shape, generator=draw),
        torch.randn(MEASURE_POINTS, *shape, generator=draw),
    )
    if classes:
        labels = [torch.randint(classes, (k,), generator=draw) for k in (n, MEASURE_POINTS)]
        return Data(
            x,
            labels[0],
            x_test,
            labels[1],
            Noise("label_resample", 1.0, 1 - 1 / classes),
            classes=classes,
        )
    coins = [torch.randint(2, (k,), generator=draw) * 2.0 - 1 for k in (n, MEASURE_POINTS)]
    return Data(x, coins[0], x_test, coins[1], Noise("label_flip", 0.5, 0.5, sigma2=1.0))


def _training(
    models: list[nn.Module], shape: tuple[int, ...], batch: int = 64, steps: int = 12
) -> _Timed:
    """Seconds of one optimiser step of a stack that shares its batches."""
    with torch.no_grad():
        outputs = models[0](torch.zeros(1, *shape)).shape[1]
    data = _data(shape, batch * steps, outputs if outputs > 1 else None)
    group = StackGroup(data, Seeds(0).generator("order"), 1e-3)
    seconds = time_epoch(stack(models, data.x_train[:4]), group, batch) / steps
    samples = len(models) * batch
    flops, saved = (
        samples * count_training_flops(models[0], shape),
        samples * count_saved_bytes(models[0], shape),
    )
    return _Timed(
        seconds, flops, len(models) * count_parameters(models[0]).trainable, len(models), saved
    )


def _measuring(models: list[nn.Module], shape: tuple[int, ...]) -> _Timed:
    """Seconds of measuring a stack's models."""
    data = _data(shape, 512)
    program = stack(models, data.x_train[:4])
    describe(data)  # once per data set, and for a process's first one a slow import
    clock = time.perf_counter()
    measure(program, [data] * len(models), [Seeds(0)] * len(models))
    seconds = time.perf_counter() - clock
    points = len(models) * MEASURE_POINTS
    flops, saved = (
        points * count_training_flops(models[0], shape),
        points * count_saved_bytes(models[0], shape),
    )
    return _Timed(seconds, flops, points * data.x_test[0].numel(), len(models), saved)


def _slowdown(threads: int) -> float:
    """Time of training steps while other processes do the same on all other cores, over their
    time alone."""
    others = (os.cpu_count() or 1) // threads - 1
    alone = _some_steps()
    busy = [
        subprocess.Popen(
            [sys.executable, "-m", __name__, str(threads)], stdout=subprocess.PIPE, cwd=ROOT
        )
        for _ in range(others)
    ]
    try:
        for process in busy:
            if process.stdout:
                process.stdout.readline()  # it trains from now on
        return max(1.0, _some_steps() / alone)
    finally:
        for process in busy:
            process.kill()
            process.communicate()


def _some_steps() -> float:
    return sum(
        _training([_mlp(d, 64) for _ in range(m)], (d,)).seconds
        for d, m in ((784, 1), (784, 8), (16, 8))
    )


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    print(flush=True)
    while True:
        _some_steps()
