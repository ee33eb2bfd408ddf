"""Signals to end as one exception: its exit codes, and how a trial gets time for a checkpoint.

Run alone: python -m pytest tests/test_interruption.py
"""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.execution.run_batch import run_batch
from harness.interruption import (
    Interrupted,
    exit_code,
    interruptions,
    postponed,
    raise_if_told,
    tell,
    told,
    undivided,
)
from harness.store.store import Store
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def send(signum: int) -> None:
    os.kill(os.getpid(), signum)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = [signal.getsignal(signum) for signum in CODES]
    yield
    assert [signal.getsignal(signum) for signum in CODES] == before
    assert told() is None


@pytest.mark.parametrize(("signum", "code"), CODES.items())
def test_each_signal_has_its_exit_code(signum: int, code: int):
    with pytest.raises(KeyboardInterrupt) as caught, interruptions():
        send(signum)
    assert exit_code(caught.value) == code


def test_a_plain_ctrl_c_has_the_same_exit_code():
    assert exit_code(KeyboardInterrupt()) == 130


def test_a_signal_that_is_ignored_from_the_start_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptions():
            send(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_ends_already_is_only_hurried_by_ctrl_c():
    with interruptions():
        with pytest.raises(Interrupted):
            send(signal.SIGTERM)
        send(signal.SIGTERM)
        send(signal.SIGHUP)
        with pytest.raises(Interrupted):
            send(signal.SIGINT)


def test_an_undivided_block_runs_to_its_end_and_a_second_ctrl_c_cuts_in():
    with interruptions():
        with undivided():
            send(signal.SIGINT)
            ended = True
        assert ended and told()
        with pytest.raises(Interrupted, match="SIGINT"):
            raise_if_told()

    with interruptions(), pytest.raises(Interrupted), undivided():
        send(signal.SIGTERM)
        send(signal.SIGHUP)
        send(signal.SIGINT)


def test_a_swallowed_exception_is_raised_again():
    with interruptions():
        try:
            send(signal.SIGTERM)
        except BaseException:
            pass
        with pytest.raises(Interrupted, match="SIGTERM"):
            raise_if_told()


def test_a_reader_that_has_gone_away_counts_where_something_is_to_end():
    tell(signal.SIGPIPE)
    raise_if_told()
    with pytest.raises(Interrupted) as caught, interruptions():
        tell(signal.SIGPIPE)
        raise_if_told()
    assert exit_code(caught.value) == 141


def test_a_postponed_signal_is_raised_at_the_end():
    reached = False
    with interruptions(), pytest.raises(Interrupted):
        with postponed(True):
            send(signal.SIGTERM)
            reached = told() is not None
            signal.setitimer(signal.ITIMER_REAL, 0)  # without a time limit nobody hears the alarm
    assert reached


# Trials


def trial(epochs: int, width: int = 8):
    fixed = f"{{n: 64, d: 4, width: {width}, stop: epochs, max_epochs: {epochs}}}"
    text = f"name: a\nseeds: [0]\ntasks: [{{task: sphere, fixed: {fixed}}}]"
    return parse_sweep(text, "sweep.yaml").trials[0]


def settings(checkpoints: str) -> RunSettings:
    return RunSettings(1, 0.0, 600.0, 0, 0, checkpoints)


def soon(signum: int) -> threading.Timer:
    """Send the signal to this process while it trains."""
    timer = threading.Timer(0.2, send, [signum])
    timer.start()
    return timer


@pytest.mark.slow
def test_a_trial_that_is_told_to_end_keeps_a_checkpoint_and_goes_on_from_it(tmp_path: Path):
    checkpoints = Store.create(tmp_path).checkpoints()
    asked = trial(epochs=800)
    run_batch(Batch(((trial(1),),)), settings(checkpoints))  # loads what training needs

    timer = soon(signal.SIGTERM)
    with pytest.raises(Interrupted, match="SIGTERM"):
        run_batch(Batch(((asked,),)), settings(checkpoints))
    timer.join()
    assert [path.stem for path in (tmp_path / "_checkpoints").iterdir()] == [asked.trial_id]

    (result,) = run_batch(Batch(((asked,),)), settings(checkpoints))
    assert result.failure_kind is None, result.columns
    assert 0 < result.columns["resumed_epoch"] < 800


@pytest.mark.slow
def test_a_stack_that_is_told_to_end_ends_at_once(tmp_path: Path):
    checkpoints = Store.create(tmp_path).checkpoints()
    stack = (trial(100_000, width=8), trial(100_000, width=12))
    timer = soon(signal.SIGTERM)
    with pytest.raises(Interrupted):
        run_batch(Batch((stack,)), settings(checkpoints))
    timer.join()
    assert not any((tmp_path / "_checkpoints").iterdir())


@pytest.mark.slow
def test_a_trial_whose_epoch_takes_too_long_ends_without_a_checkpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr("harness.interruption.GRACE_S", 0.2)
    monkeypatch.setattr("harness.training.checkpoint.CheckpointFile.due", False)
    checkpoints = Store.create(tmp_path).checkpoints()
    timer = soon(signal.SIGHUP)
    with pytest.raises(Interrupted, match="SIGHUP"):
        run_batch(Batch(((trial(100_000),),)), settings(checkpoints))
    timer.join()
