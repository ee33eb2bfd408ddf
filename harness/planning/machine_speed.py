"""How fast this machine trains and measures: some twenty seconds of timing, once per machine, then
read from a cache.

    calibration = calibrated(threads=1, say=print)
    calibration.alone.seconds(flops=1e6, numbers=1e4, models=1, saved_bytes=1e5)
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch

from harness.planning.costs import Calibration, Cost
from harness.planning.timing import measured
from harness.store import provenance
from harness.store.schema import MEASURES_VERSION

CALIBRATION_VERSION = 4
"""Increase it when what is timed, or how it is fitted, changes."""


def calibrated(threads: int, say: Callable[[str], None]) -> Calibration:
    """Return this machine's calibration for trials of `threads` threads, from the cache, or
    measured now, of which `say` is told."""
    try:
        path = calibration_file(threads)
    except RuntimeError:  # a user without a home
        say("timing this machine; set XDG_CACHE_HOME to a folder, and it is kept there")
        return measured(threads)

    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return _read(path)

    say(f"timing this machine, once: kept in {path}")
    calibration = measured(threads)
    with contextlib.suppress(OSError):  # a machine without a writable home is timed every time
        _write(calibration, path)
    return calibration


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
    kept = json.loads(path.read_text())
    costs = [Cost(*kept[field]) for field in Calibration._fields if field != "slowdown"]
    return Calibration(*costs, slowdown=float(kept["slowdown"]))


def _write(calibration: Calibration, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"_tmp-{path.name}-{os.getpid()}")
    temporary.write_text(json.dumps(calibration._asdict()))
    os.replace(temporary, path)
