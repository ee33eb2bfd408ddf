"""What a row says about where it came from: code, versions, hardware, and the few environment
variables of an explicit list.

Nothing else of the environment is ever copied: it holds keys and tokens, and rows are passed on.
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

VARIABLES = (
    # Threads of the libraries below torch, which `threads` does not show
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    # Which kernels are chosen, and so the last bits of every sum
    "ATEN_CPU_CAPABILITY",
    "MKL_CBWR",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "CUBLAS_WORKSPACE_CONFIG",
    "NCCL_ALGO",
    "NCCL_PROTO",
    # How fast a GPU works, and when its memory ends
    "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "NCCL_P2P_DISABLE",
    "NCCL_IB_DISABLE",
    # How full a node's memory may be before Ray ends a worker
    "RAY_memory_usage_threshold",
    # Whether data and tokenizers may come from the network, or from its cache alone
    "HF_HUB_OFFLINE",
)
"""Variables whose values rows keep: they change a trial's numbers, speed or memory. None of them
holds a path, a name or a key."""


@cache
def of_code() -> dict[str, Any]:
    """The package's version and, when it runs from a git checkout of its own, commit and dirty
    flag."""
    root = Path(harness.__file__).resolve().parent.parent
    commit = dirty = None
    sent = root / "_commit.json"  # beside the packages that `unilaw launch` sends to a cluster
    if sent.exists():
        return {"unilaw_version": harness.__version__, **json.loads(sent.read_text())}
    if (root / ".git").exists():
        commit = _git(root, "rev-parse", "HEAD")
        status = _git(root, "status", "--porcelain", "--untracked-files=no")
        dirty = None if status is None else bool(status)
    return {"unilaw_version": harness.__version__, "commit": commit, "dirty": dirty}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def of_worker(device: str) -> dict[str, Any]:
    """Code, versions, hardware and environment of this process. `device` is a torch device
    string."""
    import torch

    return {
        **of_code(),
        "python_version": platform.python_version(),
        "torch_version": torch.__version__,
        "ray_version": _ray_version(),
        "cpu": _cpu_model(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.startswith("cuda") else None,
        "environment_json": json.dumps(
            {name: os.environ[name] for name in VARIABLES if name in os.environ}
        ),
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
