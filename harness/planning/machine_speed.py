"""Learn how fast a device trains and measures. Timing takes about a minute, once for each kind of
device and each number of threads; later runs read the result from a cache.

    calibration = calibrated(processor(threads=1), say=print)
    calibration.alone.seconds(flops=1e6, numbers=1e4, models=1, saved_bytes=1e5)
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from harness.planning.cores import cores_here
from harness.planning.costs import Calibration, Cost
from harness.planning.devices import Device, gpu_here, processor
from harness.planning.timing import measured
from harness.store import provenance
from harness.store.schema import MEASURES_VERSION
from harness.store.small_json import read_json
from harness.store.whole_file import write_whole
from harness.sweeps.sweep_file import Resources

CALIBRATION_VERSION = 6
"""Increase it when what is timed, or how it is fitted, changes, or when training becomes faster."""

SMALL_MACHINE = Calibration(
    alone=Cost(3e-4, 1e-11, 1e-9, 0.0),
    stacked=Cost(5e-4, 1e-11, 4e-9, 3e-6),
    convolution_alone=Cost(5e-3, 2e-11, 1e-7, 0.0),
    convolution_stacked=Cost(2e-3, 2e-11, 0.0, 4e-3),
    attention_alone=Cost(3e-3, 1e-11, 0.0, 0.0, 1e-9),
    attention_stacked=Cost(6e-3, 2e-11, 0.0, 2e-3, 2e-9),
    measuring=Cost(0.07, 1.4e-9, 1.3e-6, 5e-3),
    vocabulary=Cost(0.0, 3e-9, 0.0, 4.0, 3e-7),
    starting=Cost(2e-3, 0.0, 0.0, 1e-3),
    slowdown=1.1,
)
"""Round figures near those of a machine of two cores, for one that cannot be timed."""

LARGE_GPU = Calibration(
    alone=Cost(1.2e-3, 5e-14, 6e-12, 0.0),
    stacked=Cost(1.5e-3, 5e-14, 6e-12, 0.0),
    convolution_alone=Cost(1.5e-3, 1e-13, 6e-12, 0.0),
    convolution_stacked=Cost(2.5e-3, 1e-13, 6e-12, 0.0),
    attention_alone=Cost(5e-3, 1e-13, 6e-12, 0.0),
    attention_stacked=Cost(8e-3, 1e-13, 6e-12, 1.5e-4),
    measuring=Cost(1.0, 1e-11, 1e-9, 2e-3),
    vocabulary=Cost(4.8, 5e-11, 0.0, 0.1),
    starting=Cost(0.05, 0.0, 0.0, 1e-3),
    slowdown=2.0,
    processes=4,
)
"""Round figures of an H200, for plans that are made where there is no GPU to time. Steps of MLPs
and GPTs, and the measuring of GPTs, are from a few measurements (docs/performance.md); the rest is
a guess."""

ENDLESS_S = 1e6
"""No step of training takes as many seconds."""


def calibrated_for(resources: Resources, say: Callable[[str], None]) -> Calibration:
    """Return the calibration of the device that these resources name: this machine's processor, or
    its GPU. `say` is told when there is no GPU to time, and what `calibrated` tells.

    More threads than this machine has cores are not timed: the calibration is that of all its
    cores.
    """
    threads = resources.cpus
    cores = cores_here()
    if threads > cores:
        say(
            f"each trial is to have {threads} cores and this machine has {cores}: planned with"
            f" {cores}; with {threads} a trial takes at least {cores / threads:.0%} of the seconds"
        )
    if not resources.gpus:
        return calibrated(processor(threads), say)

    gpu = gpu_here(threads)
    if gpu is None:
        say(
            "this machine has no GPU to time: batches and forecast are made for a large one, by"
            " round figures"
        )
        return LARGE_GPU
    return calibrated(gpu, say)


def calibrated(device: Device, say: Callable[[str], None]) -> Calibration:
    """Return the calibration of this machine's device, from the cache, or measured now. `say` is
    told what is timed, and what could not be.

    A machine that is too busy to be timed counts as SMALL_MACHINE; a GPU that is too busy or too
    full, as LARGE_GPU.
    """
    # RuntimeError: a user without a home
    with contextlib.suppress(OSError, RuntimeError, ValueError, TypeError, KeyError):
        return _read(calibration_file(device), device)

    path = _file_to_keep(device, say)
    try:
        calibration = measured(device)
    except (TimeoutError, torch.OutOfMemoryError) as e:
        is_full = isinstance(e, torch.OutOfMemoryError)
        why = f"{device.name} is too full to be timed" if is_full else e
        common = "small one" if device.kind == "cpu" else "large GPU"
        say(f"{why}, so it counts as a common {common}; forecasts are rough until it is less busy")
        return SMALL_MACHINE if device.kind == "cpu" else LARGE_GPU

    if path is not None:
        with contextlib.suppress(OSError):  # the disk is full; the next command times again
            _write(calibration, device, path)
    return calibration


def _file_to_keep(device: Device, say: Callable[[str], None]) -> Path | None:
    """Return where a new calibration will be kept; None where nothing can be kept. `say` is told
    which."""
    try:
        path = calibration_file(device)
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except RuntimeError:
        why = "this user has no home"
    except OSError as e:
        why = f"{e.filename}: {e.strerror}"
    else:
        say(f"timing {device.in_words} once: kept in {path}")
        return path

    say(
        f"timing {device.in_words} which every command does anew: it cannot be kept ({why}); set"
        " XDG_CACHE_HOME to a folder that can be written"
    )
    return None


def calibration_file(device: Device) -> Path:
    """Return where the calibration of this machine's device is kept: in a file named after the
    device and after everything else that it depends on."""
    depends_on = [
        CALIBRATION_VERSION,
        MEASURES_VERSION,
        device,
        provenance.of_worker("cpu")["cpu"],  # which starts every call of a GPU
        os.cpu_count(),
        torch.__version__,
    ]
    digest = hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "unilaw" / f"calibration-{device.slug}-{digest}.json"


def calibration_as_json(calibration: Calibration, device: Device) -> str:
    """Return what the cache keeps of a device's calibration."""
    about = {"version": CALIBRATION_VERSION, "device": device._asdict()}
    return json.dumps({**about, **calibration._asdict()}, indent=1)


def _read(path: Path, device: Device) -> Calibration:
    """Return a kept calibration. Raises ValueError when it is another device's, another version's,
    or holds what is no cost."""
    kept = read_json(path.read_bytes())
    if (kept["version"], kept["device"]) != (CALIBRATION_VERSION, device._asdict()):
        raise ValueError("another device's calibration")
    fields = set(Calibration._fields) - {"slowdown", "processes"}
    costs = {field: Cost(*map(_seconds, kept[field])) for field in fields}
    processes = kept["processes"]
    if not isinstance(processes, int) or processes < 1:
        raise ValueError(f"timed with {processes} processes")
    return Calibration(**costs, slowdown=_seconds(kept["slowdown"]), processes=processes)


def _seconds(kept: float) -> float:
    """Return a number of the cache. Raises ValueError when it is no cost."""
    if not 0 <= kept < ENDLESS_S:
        raise ValueError(f"a cost of {kept}")
    return float(kept)


def _write(calibration: Calibration, device: Device, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, calibration_as_json(calibration, device).encode())
