"""A run that ends without a word is named by the next command: from outside nothing else can tell,
and a trial that ends its process from C leaves exit code 0.

Run alone: python -m pytest tests/store/test_under_way.py
"""

import os
import platform
import subprocess
import warnings
from pathlib import Path

import pytest

from harness.store.store import Store
from harness.store.under_way import PREFIX, RunUnderWay, UnderWay, cut_off, say_cut_off
from harness.store.writer import Writer
from harness.terminal.status import status
from reports.evidence import read_evidence
from tests import ROOT
from tests.conftest import Command

TRIALS = ["0123456789abcdef", "fedcba9876543210"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "rows")


def ended_pid() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def leave(store: Store, sweep: str | None, host: str, pid: int, trials: list[str]) -> None:
    """Leave the file of a run by this process, as one that was cut off leaves it."""
    run = UnderWay(store.files, sweep).run
    run = run.model_copy(update={"writer": Writer(host=host, pid=pid), "trials": tuple(trials)})
    store.files.put(f"{PREFIX}{pid}.json", run.model_dump_json().encode())


def test_a_run_has_a_file_for_as_long_as_it_lasts(store: Store):
    with pytest.raises(ZeroDivisionError), UnderWay(store.files, "small") as run:
        run.works_on(TRIALS)
        (file,) = Path(store.where).glob(f"{PREFIX}*")
        written = RunUnderWay.model_validate_json(file.read_bytes())
        assert written.sweep == "small" and written.trials == tuple(TRIALS)
        assert written.writer == Writer(host=platform.node(), pid=os.getpid())
        assert cut_off(store.files) == []
        raise ZeroDivisionError
    assert list(Path(store.where).glob(f"{PREFIX}*")) == []


def test_one_whose_process_is_gone_is_named_until_its_sweep_goes_on(store: Store):
    leave(store, "small", platform.node(), ended_pid(), TRIALS)
    (found,) = cut_off(store.files)
    assert str(found).startswith("the run of 'small' that began on ")
    assert "ended without a word, so run it again" in str(found)
    assert all(trial in str(found) for trial in TRIALS)
    assert str(found) in status(store).problems
    assert str(found) in read_evidence(store.where).problems

    said: list[str] = []
    say_cut_off(store.files, "another", said.append)
    say_cut_off(store.files, None, said.append)
    assert said == [] and len(cut_off(store.files)) == 1
    say_cut_off(store.files, "small", said.append)
    assert said == [str(found)] and cut_off(store.files) == []


def test_what_cannot_be_known_is_not_said(store: Store):
    leave(store, "small", "another-machine", ended_pid(), [])
    leave(store, "small", platform.node(), os.getpid(), [])
    assert cut_off(store.files) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"sweep": "../a"}', b"\xff", b'{"writer": {"host": "a", "pid": -1}}'],
)
def test_files_that_no_run_writes_are_left_out(store: Store, content: bytes):
    store.files.put(f"{PREFIX}1.json", content)
    leave(store, "small", platform.node(), ended_pid(), TRIALS * 30_000)
    (Path(store.where) / f"{PREFIX}2.json").mkdir()
    (Path(store.where) / f"{PREFIX}3.json").symlink_to(f"{PREFIX}3.json")
    assert cut_off(store.files) == []


def exit_code_in_a_copy(command: Command, *arguments: object, cwd: Path) -> int:
    """Give the command in a copy of this process, which spares it the imports, and return the
    copy's exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on, of threads
        pid = os.fork()
    if pid == 0:
        try:
            command(*arguments, cwd=cwd)
        finally:
            os._exit(99)

    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.slow
def test_a_trial_that_ends_its_process_from_c(unilaw_here: Command, tmp_path: Path):
    sweep = tmp_path / "a.yaml"
    sweep.write_text(
        "name: harm\nseeds: [0]\nlimits: {measure_points: 0}\n"
        "tasks: [{task: harm, fixed: {how: c-exit}}]\n"
    )
    options = ("--task-file", ROOT / "tests" / "harmful_task.py", "--store", "rows", "--inline")
    code = exit_code_in_a_copy(unilaw_here, "run", sweep, *options, cwd=tmp_path)
    assert code == 0, "nothing in the process can prevent this"

    told = "the run of 'harm' that began on"
    assert told in unilaw_here("status", "rows", cwd=tmp_path).stdout
    sweep.write_text(sweep.read_text().replace("c-exit", "none"))
    again = unilaw_here("run", sweep, *options, cwd=tmp_path)
    assert told in again.stderr and "whose code shared its process (--inline)" in again.stderr
    assert again.stdout.startswith("1 ok")
    assert told not in unilaw_here("status", "rows", cwd=tmp_path).stdout
