"""A plan for more cores than this machine has: made with those there are, within a time limit, and
refused where it would run.

Run alone: python -m pytest tests/planning/test_cores.py
"""

import json
from pathlib import Path

import pytest
import torch

from harness.errors import UserError
from harness.planning import cores, devices, machine_speed, timing
from harness.planning.cores import refuse_more_cores_than_here
from harness.planning.devices import Device, processor
from harness.planning.machine_speed import (
    SMALL_MACHINE,
    calibrated,
    calibrated_for,
    calibration_file,
)
from harness.sweeps.sweep_file import Resources
from tests.planning.machines import LIKE_A_LAPTOP

ONE = timing._Timed(1.0, 1.0, 1.0, 1)


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """A machine of two cores with an empty cache; the threads of each time that it was timed."""
    timed: list[int] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in (cores, devices, machine_speed):
        monkeypatch.setattr(f"{module.__name__}.cores_here", lambda: 2)
    monkeypatch.setattr(
        machine_speed, "measured", lambda device: timed.append(device.threads) or LIKE_A_LAPTOP
    )
    return timed


def test_more_threads_than_cores_are_not_timed(two_cores: list[int]):
    said: list[str] = []
    made = [calibrated_for(Resources(cpus=cpus), said.append) for cpus in (64, 2)]
    assert made == [LIKE_A_LAPTOP] * 2
    assert two_cores == [2], "one timing, kept for both"
    assert said[0] == (
        "each trial is to have 64 cores and this machine has 2: planned with 2; with 64 a trial"
        " takes at least 3% of the seconds"
    )


def test_a_run_here_of_more_cores_than_there_are_is_refused(two_cores: list[int]):
    refuse_more_cores_than_here(2, "resources.cpus")
    with pytest.raises(UserError, match=r"^resources.cpus is 3, and this machine has 2 cores: "):
        refuse_more_cores_than_here(3, "resources.cpus")


def test_timing_ends_at_its_limit_and_puts_the_threads_back(monkeypatch: pytest.MonkeyPatch):
    made = []
    monkeypatch.setattr(timing, "LIMIT_S", -1.0)
    monkeypatch.setattr(
        timing._Timer, "_training", lambda *_, **__: made.append(1) or timing._Steps(ONE, ONE)
    )
    before = torch.get_num_threads()
    with pytest.raises(TimeoutError, match="this machine could not be timed within"):
        timing.measured(Device("cpu", "", before + 1))
    assert len(made) == 1 and torch.get_num_threads() == before


def test_a_machine_that_cannot_be_timed_is_said_and_not_kept(
    two_cores: list[int], monkeypatch: pytest.MonkeyPatch
):
    def too_busy(device: Device):
        raise TimeoutError("this machine could not be timed within 120 s")

    monkeypatch.setattr(machine_speed, "measured", too_busy)
    said: list[str] = []
    assert calibrated(processor(1), said.append) == SMALL_MACHINE
    assert said[-1].startswith("this machine could not be timed within 120 s, so it counts as")
    assert not calibration_file(processor(1)).exists()


@pytest.mark.parametrize("kept", [False, True])
def test_what_is_said_to_be_kept_is_kept(
    two_cores: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: bool
):
    if not kept:
        (tmp_path / "cache").write_text("a file in the folder's place")
    said: list[str] = []
    calibrated(processor(1), said.append)
    if kept:
        assert said == [f"timing this machine, once: kept in {calibration_file(processor(1))}"]
        assert (
            json.loads(calibration_file(processor(1)).read_text())["slowdown"]
            == LIKE_A_LAPTOP.slowdown
        )
    else:
        (line,) = said
        assert "cannot be kept" in line and "set XDG_CACHE_HOME to a folder" in line
