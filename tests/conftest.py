"""Fixtures that many tests share: the `unilaw` command as a process, a calibration that is not
timed, and Ray kept to one worker per test file."""

import contextlib
import functools
import gc
import importlib.metadata
import io
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is slow, which says nothing about the code.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# Set before torch is imported: two xdist workers with two threads each only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A thirtieth as often as by default: looking for cycles is a twentieth of the tests' time.
gc.set_threshold(20_000, 20, 20)

UNILAW = str(Path(sysconfig.get_path("scripts")) / "unilaw")

TOGETHER = {
    "tests/on_ray": "Ray",
    "tests/on_cluster": "Ray",
    "tests/reports/sections": "the rich page",
    "tests/reports/charts/test_scatter.py": "the rich page",
    "tests/reports/test_page.py": "the rich page",
}
"""Folders and test files whose tests share something dear, and what that is: one xdist worker takes
all of them. With one worker for Ray, no two of its clusters compete for the cores."""

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Send all tests of a file to one xdist worker, and so all tests that share something dear."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, _ = nodeid.partition("::")
            folder, _, _ = file.rpartition("/")
            return TOGETHER.get(file) or TOGETHER.get(folder) or file

    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that start Ray first, then those with slow cases. At the end come short files,
    so that both xdist workers end at about the same time. Skip what needs a GPU where none is."""
    with_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if with_gpu:
        import torch  # after OMP_NUM_THREADS is set

        absent = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU")
        for item in with_gpu:
            item.add_marker(absent)

    with_ray = {
        item.path
        for item in items
        if item.get_closest_marker("ray") and not item.get_closest_marker("soak")
    }
    with_slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in with_ray, item.path not in with_slow))


def pytest_collection_finish() -> None:
    """Take what collecting has made out of the garbage collector's sight. It would look through
    torch's million objects again and again."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make round figures this machine's calibration, for this process and those it starts: no test
    times the machine, and every run of the tests makes the same batches."""
    from harness.planning.devices import gpu_here, processor
    from harness.planning.machine_speed import (
        LARGE_GPU,
        SMALL_MACHINE,
        calibration_as_json,
        calibration_file,
    )

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    made = [(processor(threads), SMALL_MACHINE) for threads in (1, 2)]
    if gpu := gpu_here(1):
        made.append((gpu, LARGE_GPU))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared / "cache"))
        for device, figures in made:
            path = calibration_file(device)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{path.name}-{os.getpid()}")
            temporary.write_text(calibration_as_json(figures, device))
            os.replace(temporary, path)
        yield


@pytest.fixture(scope="session", autouse=True)
def installed_once() -> Iterator[None]:
    """Read the entry points of installed packages once for each sys.path: every sweep asks for
    those of tasks, and each look reads a hundred packages."""
    read = importlib.metadata.entry_points

    @functools.cache
    def kept(_path: tuple[str, ...], **which: str) -> object:
        return read(**which)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            importlib.metadata, "entry_points", lambda **which: kept(tuple(sys.path), **which)
        )
        yield


@pytest.fixture(scope="session")
def environment(calibration: None) -> dict[str, str]:
    """Return this process's environment without a terminal's width or colours, and with the hub
    switched off."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    for name in ("COLUMNS", "FORCE_COLOR", "RAY_ADDRESS", "PYTHONPATH"):
        environment.pop(name, None)
    return environment


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put a hub in place that answers at once: with as many digits as MNIST has, all of them blank
    zeros, and with a long text of one of GPT-2's tokens."""
    import numpy as np

    from harness.language import Corpus
    from tasks import digits, text_stream

    own_load_corpus = text_stream.load_corpus
    own_vocabulary_size = text_stream.vocabulary_size
    tokens = np.broadcast_to(np.uint16(0), 10**13)
    long_text = Corpus(tokens, tokens, 50_257, 50_256, 1, "a long text")

    def load_corpus(source: str, *how: object) -> Corpus:
        return long_text if source.startswith("hub:") else own_load_corpus(source, *how)

    def vocabulary_size(tokenizer: str) -> int:
        return 50_257 if tokenizer.startswith("hub:") else own_vocabulary_size(tokenizer)

    def blank_digits() -> tuple[np.ndarray, ...]:
        train = np.zeros((60_000, 28, 28), np.uint8), np.zeros(60_000, np.int64)
        test = np.zeros((10_000, 28, 28), np.uint8), np.zeros(10_000, np.int64)
        return *train, *test

    monkeypatch.setattr(text_stream, "load_corpus", load_corpus)
    monkeypatch.setattr(text_stream, "vocabulary_size", vocabulary_size)
    monkeypatch.setattr(digits, "_from_hub", blank_digits)
    digits.load_digits.cache_clear()
    yield
    digits.load_digits.cache_clear()


@pytest.fixture(scope="session")
def unilaw(environment: dict[str, str]) -> Command:
    """Return the command as a user would type it: `unilaw(*arguments, cwd=folder)` gives exit code,
    stdout and stderr."""

    def call(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        command = [UNILAW, *map(str, arguments)]
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500
        )

    return call


def _task_files() -> list[str]:
    """Return the names of the modules that task files were loaded as."""
    return [name for name in sys.modules if name.startswith("unilaw_task_")]


@pytest.fixture(scope="module", autouse=True)
def no_task_files() -> None:
    """Forget task files that tests of other files have loaded, perhaps under other names."""
    from harness.sweeps.registry import load

    for name in _task_files():
        del sys.modules[name]
    load.cache_clear()


@pytest.fixture(scope="session")
def unilaw_here(calibration: None) -> Command:
    """Return the command as a function of this process, which spares it the imports: for commands
    that neither start Ray nor do anything to their process. It is called as `unilaw` is."""
    from harness.cli import main

    def call(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        command = ["unilaw", *map(str, arguments)]
        out = io.StringIO()
        err = io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            # A process of its own would know no task file yet. A module that is kept names the file
            # that it was first loaded from.
            for name in _task_files():
                patch.delitem(sys.modules, name)
            patch.setattr(sys, "argv", command)
            with pytest.raises(SystemExit) as ended:
                main()
            for name in _task_files():
                del sys.modules[name]
        return subprocess.CompletedProcess(
            command, int(ended.value.code or 0), out.getvalue(), err.getvalue()
        )

    return call
