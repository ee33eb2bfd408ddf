"""A machine's calibration: costs recovered from made-up timings, and one timing per machine.
Nothing is timed here.

Run alone: python -m pytest tests/planning/test_machine_speed.py
"""

import json
import time
from pathlib import Path

import pytest
import torch

from harness.planning import machine_speed, timing
from harness.planning.costs import Calibration, Cost
from harness.planning.devices import Device, gpu_here
from harness.planning.machine_speed import (
    LARGE_GPU,
    calibrated,
    calibrated_for,
    calibration_as_json,
    calibration_file,
)
from harness.planning.timed_cases import Mlps
from harness.sweeps.sweep_file import Resources
from tests.training.recording import Replays, recorded_by

COST = Cost(1e-3, 2e-11, 3e-9, 4e-5)
MADE = Calibration(*[COST] * 9, slowdown=1.25, processes=2)
CPU = Device("cpu", "a processor", 1)
TWO = CPU._replace(threads=2)
GPU = Device("cuda", "NVIDIA H200", 1)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Device]:
    """An empty cache, and a machine whose timing gives MADE; the devices that were timed."""
    asked: list[Device] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(machine_speed, "measured", lambda device: asked.append(device) or MADE)
    return asked


def test_each_device_and_count_of_threads_is_timed_once_and_kept_under_its_name(
    timed: list[Device],
):
    said: list[str] = []
    asked = (CPU, CPU, TWO, GPU, CPU, TWO, GPU)
    assert [calibrated(device, said.append) for device in asked] == [MADE] * 7
    assert timed == [CPU, TWO, GPU]
    assert said == [
        f"timing this machine, once: kept in {calibration_file(CPU)}",
        f"timing this machine, once: kept in {calibration_file(TWO)}",
        f"timing this machine's NVIDIA H200, once: kept in {calibration_file(GPU)}",
    ]
    names = sorted(path.name for path in calibration_file(CPU).parent.iterdir())
    kept_under = ("a-processor-1-thread-", "a-processor-2-threads-", "nvidia-h200-1-thread-")
    for name, beginning in zip(names, kept_under, strict=True):
        assert name.startswith(f"calibration-{beginning}")


def test_a_file_of_another_device_or_version_is_not_read(timed: list[Device]):
    calibrated(GPU, print)
    calibration_file(GPU).rename(calibration_file(CPU))
    assert calibrated(CPU, print) == MADE and timed == [GPU, CPU]

    earlier = json.loads(calibration_file(CPU).read_text()) | {"version": 4}
    calibration_file(CPU).write_text(json.dumps(earlier))
    assert calibrated(CPU, print) == MADE and timed == [GPU, CPU, CPU]


def test_a_gpu_that_is_too_full_to_be_timed_counts_as_a_large_one(
    timed: list[Device], monkeypatch: pytest.MonkeyPatch
):
    def too_full(device: Device) -> Calibration:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(machine_speed, "measured", too_full)
    said: list[str] = []
    assert calibrated(GPU, said.append) == LARGE_GPU and not calibration_file(GPU).exists()
    assert said[-1].startswith(
        "NVIDIA H200 is too full to be timed, so it counts as a common large"
    )


def test_a_sweep_on_gpus_is_planned_by_round_figures_where_there_is_none(
    timed: list[Device], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(machine_speed, "gpu_here", lambda threads: None)
    said: list[str] = []
    assert calibrated_for(Resources(gpus=0.5), said.append) == LARGE_GPU
    assert not timed and said[0].startswith("this machine has no GPU to time: ")

    monkeypatch.setattr(machine_speed, "gpu_here", lambda threads: GPU)
    assert calibrated_for(Resources(gpus=0.5), said.append) == MADE and timed == [GPU]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"alone": 3}',
        calibration_as_json(MADE, CPU).replace("1.25", '"fast"'),
        "\x00",
    ],
)
def test_a_damaged_file_is_made_anew(timed: list[Device], content: str):
    calibration_file(CPU).parent.mkdir(parents=True)
    calibration_file(CPU).write_text(content)
    assert [calibrated(CPU, print) for _ in range(2)] == [MADE, MADE]
    assert timed == [CPU]


def test_a_home_that_cannot_be_written_is_no_obstacle(
    timed: list[Device], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [calibrated(CPU, print) for _ in range(2)] == [MADE, MADE]
    assert timed == [CPU, CPU]


def test_a_user_without_a_home_is_no_obstacle(timed: list[Device], monkeypatch: pytest.MonkeyPatch):
    def home(cls: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", classmethod(home))
    said: list[str] = []
    assert [calibrated(CPU, said.append) for _ in range(2)] == [MADE, MADE]
    assert timed == [CPU, CPU] and "set XDG_CACHE_HOME" in said[0]


@pytest.mark.slow
def test_timing_uses_the_threads_asked_for_and_puts_them_back(monkeypatch: pytest.MonkeyPatch):
    seen, before = set(), torch.get_num_threads()
    second = timing._Timed(1.0, 1.0, 1.0, 1)

    def steps(*_: object) -> timing._Steps:
        seen.add(torch.get_num_threads())
        return timing._Steps(second, second)

    for networks in ("mlps", "cnns", "gpts"):
        monkeypatch.setattr(timing._Timer, networks, steps)
    monkeypatch.setattr(timing._Timer, "measuring_mlps", lambda *_: second)
    monkeypatch.setattr(timing, "slowdown_beside_others", lambda device, some_steps: (1.5, 3))
    device = CPU._replace(threads=before + 1)
    assert timing.measured(device)[-2:] == (1.5, 3)
    assert seen == {before + 1} and torch.get_num_threads() == before


def test_one_thread_is_timed_by_its_own_seconds_alone():
    """Other programs on the machine make no trial look dearer."""
    begin = timing.clock_of(CPU)()
    time.sleep(0.1)
    assert timing.clock_of(CPU)() - begin < 0.05
    assert timing.clock_of(TWO) is time.perf_counter


@pytest.mark.slow
def test_steps_are_timed_once_they_are_recorded():
    """By a recorder that stands in for a GPU's. Five epochs of 12 steps are timed."""
    recorder = Replays()
    with recorded_by(recorder):
        timed = timing._Timer(CPU).mlps(Mlps(4, 4, batch=8, models=2))
    assert recorder.replayed > 5 * 12 and timed.step.seconds > 0
    assert (timed.step.models, timed.step.numbers) == (2, 2 * (4 * 4 + 4 + 4 + 1))


@pytest.mark.gpu
def test_a_gpus_clock_waits_for_its_work():
    x = torch.randn(8192, 8192, device="cuda")
    clock = timing.clock_of(GPU)
    begin = clock()
    for _ in range(20):
        x = x @ x * 1e-2
    assert clock() - begin > 0.02 and torch.cuda.current_stream().query()


@pytest.mark.gpu
@pytest.mark.slow
def test_a_gpu_is_timed_within_its_limit_and_gains_by_stacks():
    gpu = gpu_here(1)
    assert gpu is not None
    made = timing.measured(gpu)
    stacked, alone = made.stacked.seconds(0, 0, 256), made.alone.seconds(0, 0, 1)
    assert stacked < 256 * alone / 10 and made.processes >= 1


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


def test_further_processes_add_as_much_as_those_that_were_timed():
    machine = MADE._replace(slowdown=1.6, processes=4)
    factors = [machine.slowdown_of(processes) for processes in (1, 2, 4, 16)]
    assert factors == pytest.approx([1.0, 1.2, 1.6, 4.0])


def test_seconds_are_linear():
    assert COST.seconds(1e9, 1e6, 10) == pytest.approx(1e-3 + 2e-2 + 3e-3 + 4e-4)
