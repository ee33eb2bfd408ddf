"""Fixtures that many tests share: the `unilaw` command as a process, and Ray kept to one worker per test file."""

import os
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two xdist workers with two threads each only wait for each other

UNILAW = str(Path(sysconfig.get_path("scripts")) / "unilaw")

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """All tests of a file go to one xdist worker, so that a Ray run made for a module happens once."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """This process's environment without a terminal's width or colours, and with the hub switched off."""
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR", "RAY_ADDRESS", "PYTHONPATH")}
    return {**kept, "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="session")
def unilaw(environment: dict[str, str]) -> Command:
    """`unilaw(*arguments, cwd=folder)` as a user would type it; gives exit code, stdout and stderr."""

    def call(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        command = [UNILAW, *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240)

    return call
