"""A run that is told to end while it joins a cluster ends with the signal's exit code.

Run alone: python -m pytest tests/dispatch/test_told_while_joining.py
"""

import os
import signal
from pathlib import Path
from typing import NoReturn

import pytest
import ray

from harness.dispatch import cluster
from tests.store.small_sweep import SWEEP, exit_code_of


def as_ray_does(signum: int, frame: object) -> NoReturn:
    raise SystemExit(1)


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("has_handler", [False, True])
def test_the_exit_code_is_the_signals(
    signum: signal.Signals,
    has_handler: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SWEEP)
    waits = signal.getsignal(signal.SIGTERM)

    def joining(**arguments: object) -> None:
        if has_handler:  # Ray sets one of its own before it has joined
            signal.signal(signal.SIGTERM, as_ray_does)
        os.kill(os.getpid(), signum)
        raise AssertionError("nothing has interrupted it")

    monkeypatch.setattr(cluster.ray, "init", joining)
    assert not ray.is_initialized()
    assert exit_code_of(monkeypatch, "run", "small.yaml", "--address", "auto") == 128 + signum
    assert signal.getsignal(signal.SIGTERM) is waits
    assert not Path("rows").exists()
