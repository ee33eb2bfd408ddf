"""A machine's calibration: costs recovered from made-up timings, and one timing per machine.
Nothing is timed here.

Run alone: python -m pytest tests/planning/test_machine_speed.py
"""

import json
from pathlib import Path

import pytest
import torch

from harness.planning import machine_speed, timing
from harness.planning.costs import Calibration, Cost
from harness.planning.machine_speed import calibrated, calibration_file

COST = Cost(1e-3, 2e-11, 3e-9, 4e-5)
MADE = Calibration(*[COST] * 7, slowdown=1.25)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """An empty cache, and a machine whose timing gives MADE; the threads of each time that it
    was timed."""
    asked: list[int] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(machine_speed, "measured", lambda threads: asked.append(threads) or MADE)
    return asked


def test_a_machine_is_timed_once_for_each_count_of_threads(timed: list[int]):
    said: list[str] = []
    assert [calibrated(threads, said.append) for threads in (1, 1, 2, 1, 2)] == [MADE] * 5
    assert timed == [1, 2]
    assert said == [
        f"timing this machine, once: kept in {calibration_file(threads)}" for threads in (1, 2)
    ]
    assert len(list(calibration_file(1).parent.iterdir())) == 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"alone": 3}',
        json.dumps({**MADE._asdict(), "slowdown": "fast"}),
        "\x00",
    ],
)
def test_a_damaged_file_is_made_anew(timed: list[int], content: str):
    calibration_file(1).parent.mkdir(parents=True)
    calibration_file(1).write_text(content)
    assert [calibrated(1, print) for _ in range(2)] == [MADE, MADE]
    assert timed == [1]


def test_a_home_that_cannot_be_written_is_no_obstacle(
    timed: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [calibrated(1, print) for _ in range(2)] == [MADE, MADE]
    assert timed == [1, 1]


def test_a_user_without_a_home_is_no_obstacle(timed: list[int], monkeypatch: pytest.MonkeyPatch):
    def home(cls: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", classmethod(home))
    said: list[str] = []
    assert [calibrated(1, said.append) for _ in range(2)] == [MADE, MADE]
    assert timed == [1, 1] and "set XDG_CACHE_HOME" in said[0]


def test_timing_uses_the_threads_asked_for_and_puts_them_back(monkeypatch: pytest.MonkeyPatch):
    seen, before = set(), torch.get_num_threads()

    def nothing(*_: object, **__: object) -> timing._Timed:
        seen.add(torch.get_num_threads())
        return timing._Timed(1.0, 1.0, 1.0, 1)

    for name in ("_training", "_measuring"):
        monkeypatch.setattr(timing, name, nothing)
    monkeypatch.setattr(timing, "_slowdown", lambda threads: 1.5)
    assert timing.measured(before + 1).slowdown == 1.5
    assert seen == {before + 1} and torch.get_num_threads() == before


# FLOPs, numbers, models
CASES = [(1e6, 1e3, 1), (1e6, 1e5, 4), (1e9, 1e3, 16), (1e8, 1e7, 1), (1e9, 1e6, 4), (1e7, 1e4, 16)]


@pytest.mark.parametrize(
    "cost", [COST, Cost(1e-4, 1e-10, 0.0, 0.0), Cost(0.0, 0.0, 1e-9, 1e-3)], ids=str
)
def test_costs_are_recovered_from_timings(cost: Cost):
    timings = [timing._Timed(cost.seconds(*case), *case) for case in CASES]
    assert timing._fit(timings) == pytest.approx(cost, rel=1e-6, abs=1e-15)


def test_costs_are_never_negative():
    shrinking = [
        timing._Timed(1 / models, flops, numbers, models) for flops, numbers, models in CASES
    ]
    assert min(timing._fit(shrinking)) >= 0


def test_a_model_costs_nothing_more_where_only_single_ones_were_timed():
    timings = [
        timing._Timed(1e-3 + 1e-10 * flops, flops, numbers, 1) for flops, numbers, _ in CASES
    ]
    assert timing._fit(timings) == pytest.approx((1e-3, 1e-10, 0.0, 0.0, 0.0), abs=1e-14)


def test_seconds_are_linear():
    assert COST.seconds(1e9, 1e6, 10) == pytest.approx(1e-3 + 2e-2 + 3e-3 + 4e-4)
