"""How fast this machine trains and measures: some forty seconds of timing, once per machine, then
read from a cache.

    calibration = calibrated(threads=1, say=print)
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
from harness.planning.timing import measured
from harness.store import provenance
from harness.store.schema import MEASURES_VERSION
from harness.store.small_json import read_json
from harness.store.whole_file import write_whole

CALIBRATION_VERSION = 4
"""Increase it when what is timed, or how it is fitted, changes."""

SMALL_MACHINE = Calibration(
    alone=Cost(3e-4, 1e-11, 1e-9, 0.0),
    stacked=Cost(5e-4, 1e-11, 4e-9, 3e-6),
    convolution_alone=Cost(5e-3, 2e-11, 1e-7, 0.0),
    convolution_stacked=Cost(2e-3, 2e-11, 0.0, 4e-3),
    attention_alone=Cost(3e-3, 1e-11, 0.0, 0.0, 1e-9),
    attention_stacked=Cost(6e-3, 2e-11, 0.0, 2e-3, 2e-9),
    measuring=Cost(0.07, 1.4e-9, 1.3e-6, 5e-3),
    slowdown=1.1,
)
"""Round figures near those of a machine of two cores, for one that cannot be timed."""

ENDLESS_S = 1e6
"""No step of training takes as many seconds."""


def calibrated(threads: int, say: Callable[[str], None]) -> Calibration:
    """Return this machine's calibration for trials of `threads` threads, from the cache, or
    measured now. `say` is told what is timed, and what could not be.

    More threads than this machine has cores are not timed: the calibration is that of all its
    cores. A machine that is too busy to be timed counts as SMALL_MACHINE.
    """
    cores = cores_here()
    if threads > cores:
        say(
            f"each trial is to have {threads} cores and this machine has {cores}: planned with"
            f" {cores}; with {threads} a trial takes at least {cores / threads:.0%} of the seconds"
        )
        threads = cores

    # RuntimeError: a user without a home
    with contextlib.suppress(OSError, RuntimeError, ValueError, TypeError, KeyError):
        return _read(calibration_file(threads))

    path = _file_to_keep(threads, say)
    try:
        calibration = measured(threads)
    except TimeoutError as e:
        say(f"{e}, so it counts as a common small one; forecasts are rough until it is less busy")
        return SMALL_MACHINE

    if path is not None:
        with contextlib.suppress(OSError):  # the disk is full; the next command times again
            _write(calibration, path)
    return calibration


def _file_to_keep(threads: int, say: Callable[[str], None]) -> Path | None:
    """Return where a new calibration will be kept; None where nothing can be kept. `say` is told
    which."""
    try:
        path = calibration_file(threads)
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except RuntimeError:
        why = "this user has no home"
    except OSError as e:
        why = f"{e.filename}: {e.strerror}"
    else:
        say(f"timing this machine, once: kept in {path}")
        return path

    say(
        f"timing this machine, which every command does anew: it cannot be kept ({why}); set"
        " XDG_CACHE_HOME to a folder that can be written"
    )
    return None


def calibration_file(threads: int) -> Path:
    """Return where this machine's calibration is kept: in a file named after everything that it
    depends on."""
    depends_on = [
        CALIBRATION_VERSION,
        MEASURES_VERSION,
        provenance.of_worker("cpu")["cpu"],
        os.cpu_count(),
        torch.__version__,
        threads,
    ]
    name = f"calibration-{hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:12]}.json"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unilaw" / name


def _read(path: Path) -> Calibration:
    kept = read_json(path.read_bytes())
    costs = [Cost(*map(_seconds, kept[field])) for field in Calibration._fields[:-1]]
    return Calibration(*costs, slowdown=_seconds(kept["slowdown"]))


def _seconds(kept: float) -> float:
    """Return a number of the cache. Raises ValueError when it is no cost."""
    if not 0 <= kept < ENDLESS_S:
        raise ValueError(f"a cost of {kept}")
    return float(kept)


def _write(calibration: Calibration, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(calibration._asdict()).encode())
