"""What a row says about where it came from: code, versions, hardware. An explicit list; no environment is copied."""

import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import harness


@cache
def of_code() -> dict[str, Any]:
    """The package's version and, when it runs from a git checkout of its own, commit and dirty flag."""
    root = Path(harness.__file__).resolve().parent.parent
    commit = dirty = None
    if (root / ".git").exists():
        commit = _git(root, "rev-parse", "HEAD")
        status = _git(root, "status", "--porcelain", "--untracked-files=no")
        dirty = None if status is None else bool(status)
    return {"unilaw_version": harness.__version__, "commit": commit, "dirty": dirty}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def of_worker(device: str) -> dict[str, Any]:
    """Code, versions and hardware of this process. `device` is a torch device string."""
    import torch

    return {
        **of_code(),
        "python_version": platform.python_version(),
        "torch_version": torch.__version__,
        "ray_version": _ray_version(),
        "cpu": _cpu_model(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.startswith("cuda") else None,
    }


def _ray_version() -> str | None:
    """Ray's version when this process is one of Ray's, else None."""
    return _version_of("ray") if "ray" in sys.modules else None


@cache
def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
