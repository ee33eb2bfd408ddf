"""Where a row came from: code, versions, hardware, and a short list of environment variables.

No other variable of the environment is ever copied: some hold keys and tokens, and rows are passed
on.
"""

import json
import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import harness
from harness.store.rules import RULES

COMMIT_FILE = "_commit.json"
"""Lies beside the packages that `unilaw launch` sends to a cluster, and names their commit."""

VARIABLES = (
    # Threads of the libraries below torch, which `threads` does not show
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    # The choice of kernels, which decides the last bits of every sum
    "ATEN_CPU_CAPABILITY",
    "MKL_CBWR",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "CUBLAS_WORKSPACE_CONFIG",
    "NCCL_ALGO",
    "NCCL_PROTO",
    # The speed of a GPU, and when its memory runs out
    "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "NCCL_P2P_DISABLE",
    "NCCL_IB_DISABLE",
    # How full a node's memory may be before Ray kills a worker
    "RAY_memory_usage_threshold",
    # Whether data and tokenizers may be downloaded, or come from the local cache alone
    "HF_HUB_OFFLINE",
)
"""Variables whose values rows keep, because they change a trial's numbers, speed or memory. None of
them holds a path, a name or a key."""

GIT_S = 10
"""Seconds after which a call of git is given up."""


@cache
def of_code() -> dict[str, Any]:
    """Return the package's version, the rules of its report and, when the package runs from a git
    checkout of its own, the commit and whether there are uncommitted changes."""
    package = {"unilaw_version": harness.__version__, "rules": RULES.name}
    sent = harness.HOME / COMMIT_FILE
    if sent.exists():
        return {**package, **json.loads(sent.read_text())}

    commit = None
    dirty = None
    if (harness.HOME / ".git").exists():
        commit = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--untracked-files=no")
        dirty = None if changes is None else bool(changes)
    return {**package, "commit": commit, "dirty": dirty}


def _git(*arguments: str) -> str | None:
    """Return the output of a git command in this installation, or None when it fails."""
    command = ["git", "-C", str(harness.HOME), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def of_worker(device: str) -> dict[str, Any]:
    """Return the code, versions, hardware and environment of this process.

    device: a torch device string.
    """
    import torch

    environment = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    return {
        **of_code(),
        "python_version": platform.python_version(),
        "torch_version": torch.__version__,
        "ray_version": _ray_version(),
        "cpu": _cpu_model(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.startswith("cuda") else None,
        "environment_json": json.dumps(environment),
    }


def _ray_version() -> str | None:
    """Return Ray's version when this process has imported Ray, else None."""
    return _installed_version("ray") if "ray" in sys.modules else None


@cache
def _installed_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _cpu_model() -> str:
    """Return the processor's model, or less exact words for it on systems without /proc."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
