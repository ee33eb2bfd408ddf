"""Fixtures that many tests share: the `unilaw` command as a process, a calibration that is not
timed, and Ray kept to one worker per test file."""

import json
import os
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# before torch: two xdist workers with two threads each only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

UNILAW = str(Path(sysconfig.get_path("scripts")) / "unilaw")

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """All tests of a file go to one xdist worker, so that a Ray run made for a module happens
    once."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


CALIBRATION = {
    "alone": [3e-4, 1e-11, 1e-9, 0.0],
    "stacked": [5e-4, 1e-11, 4e-9, 3e-6],
    "convolution_alone": [5e-3, 2e-11, 1e-7, 0.0],
    "convolution_stacked": [2e-3, 2e-11, 0.0, 4e-3],
    "attention_alone": [3e-3, 1e-11, 0.0, 0.0, 1e-9],
    "attention_stacked": [6e-3, 2e-11, 0.0, 2e-3, 2e-9],
    "measuring": [0.07, 1.4e-9, 1.3e-6, 5e-3],
    "slowdown": 1.1,
}
"""Round figures near those of a small machine, so that every run of the tests makes the same
batches."""


@pytest.fixture(scope="session", autouse=True)
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """CALIBRATION as this machine's own, for this process and those it starts: no test times the
    machine."""
    from harness.planning.machine_speed import calibration_file

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared / "cache"))
        for threads in (1, 2):
            path = calibration_file(threads)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{path.name}-{os.getpid()}")
            temporary.write_text(json.dumps(CALIBRATION))
            os.replace(temporary, path)
        yield


@pytest.fixture(scope="session")
def environment(calibration: None) -> dict[str, str]:
    """This process's environment without a terminal's width or colours, and with the hub
    switched off."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in ("COLUMNS", "FORCE_COLOR", "RAY_ADDRESS", "PYTHONPATH")
    }
    return {**kept, "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub that answers at once: with as many digits as MNIST has, all of them blank zeros, and
    with an empty text in GPT-2's tokens."""
    import numpy as np

    from harness.language import Corpus
    from tasks import digits, text_stream

    own, size = text_stream.load_corpus, text_stream.vocabulary_size
    text = Corpus(
        np.zeros(0, np.uint16), np.zeros(0, np.uint16), 50_257, 50_256, 1, "an empty text"
    )
    monkeypatch.setattr(
        text_stream,
        "load_corpus",
        lambda source, *how: text if source.startswith("hub:") else own(source, *how),
    )
    monkeypatch.setattr(
        text_stream,
        "vocabulary_size",
        lambda name: 50_257 if name.startswith("hub:") else size(name),
    )

    split = [(np.zeros((n, 28, 28), np.uint8), np.zeros(n, np.int64)) for n in (60_000, 10_000)]
    monkeypatch.setattr(digits, "_from_hub", lambda: (*split[0], *split[1]))
    digits.load_digits.cache_clear()
    yield
    digits.load_digits.cache_clear()


@pytest.fixture(scope="session")
def unilaw(environment: dict[str, str]) -> Command:
    """`unilaw(*arguments, cwd=folder)` as a user would type it; gives exit code, stdout and
    stderr."""

    def call(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        command = [UNILAW, *map(str, arguments)]
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240
        )

    return call
