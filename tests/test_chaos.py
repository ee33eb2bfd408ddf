"""The short forms of tests/chaos/: whatever happens to runs, nothing is lost.

Run alone: python -m pytest tests/test_chaos.py
"""

import io
import random
import sys
from pathlib import Path

import pytest
from rich.console import Console

from harness.run import run
from harness.store.store import Store
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.terminal.progress import Progress
from tests.chaos.cluster import bad_day
from tests.chaos.disks import can_mount, disks
from tests.chaos.rivals import rivals
from tests.chaos.storm import KINDS, Storm
from tests.chaos.three_nodes import compare
from tests.reports.stores import make_store, power_law

linux = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="follows processes through /proc"
)


@linux
@pytest.mark.soak
@pytest.mark.timeout(900)  # on a machine that may be busy
def test_a_run_that_is_killed_in_every_way_loses_nothing(
    tmp_path: Path, environment: dict[str, str]
):
    storm = Storm(
        tmp_path,
        seeds=1,
        marathons=[512],
        epochs=600,
        draw=random.Random(0),
        anywhere=0,
        pause=1,
        environment=environment,
    )
    result = storm.break_loose(["worker", "driver", "everything"])
    assert result.failures == []
    assert result.did == dict.fromkeys(KINDS, 1)
    assert result.found["runs"] >= 3
    assert result.found["ok"] == result.found["trials"] == 19 * result.found["sweeps"]
    assert result.found["stacked"] > 0
    assert result.found["row_files"] > 3


@linux
@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_cluster_that_loses_its_nodes_and_its_head_loses_nothing_else(
    tmp_path: Path, environment: dict[str, str]
):
    result = bad_day(tmp_path, trials=20, nap=3.0, environment=environment)
    assert result.failures == []
    assert result.did == {"nodes lost": 3, "joined late": 1, "notices": 1, "heads lost": 1}
    assert result.found["ok"] == result.found["trials"] == 20


@pytest.mark.skipif(
    sys.platform != "linux" or not can_mount(),
    reason="mounts a small file system in a namespace of its own",
)
@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_full_disk_costs_the_trial_that_filled_it_or_ends_the_run_with_a_sentence(
    tmp_path: Path, environment: dict[str, str]
):
    of_trial, of_store = disks(tmp_path, environment)
    assert of_trial.failures == []
    assert of_trial.found["failed_rows"] == {"bug": 1}
    assert of_store.failures == []
    assert of_store.found["row_files_when_full"] < of_store.found["trials"]


@linux
@pytest.mark.soak
@pytest.mark.timeout(900)
def test_two_drivers_on_one_store_lose_nothing_and_show_nothing_twice(
    tmp_path: Path, environment: dict[str, str]
):
    result = rivals(tmp_path, seeds=1, inline=True, environment=environment)
    assert result.failures == []
    assert result.found["ok"] == result.found["trials"] == 8


@linux
@pytest.mark.soak
@pytest.mark.timeout(900)
def test_of_six_drivers_on_one_store_few_do_what_another_does(
    tmp_path: Path, environment: dict[str, str]
):
    result = rivals(tmp_path, seeds=8, inline=True, environment=environment, drivers=6)
    assert result.failures == []
    assert result.found["ok"] == result.found["trials"] == 50
    # On a busy machine all six may end their first batch before one of them sees another's rows.
    assert result.found["done_again"] <= 50, "six that do not see each other do 250 again"


def run_inline(sweep: Sweep, store: Store) -> None:
    progress = Progress(Console(file=io.StringIO()))
    run(sweep, store, address=None, inline=True, retry_failed=False, progress=progress)


@pytest.mark.slow
def test_the_next_run_removes_checkpoints_that_a_killed_run_left_of_finished_trials(
    tmp_path: Path,
):
    asked = parse_sweep(
        "name: a\nseeds: [0]\nlimits: {measure_points: 0}\n"
        "tasks:\n  - {task: sphere, fixed: {n: 8, max_epochs: 1}}\n",
        "a.yaml",
    )
    folder = tmp_path / "rows"
    store = Store.create(folder)
    finished = asked.trials[0].trial_id
    other = "0" * 16
    run_inline(asked, store)
    checkpoints = folder / "_checkpoints"
    (checkpoints / f"{finished}.safetensors").touch()
    (checkpoints / f"_tmp-{finished}.safetensors-77").touch()
    (checkpoints / f"{other}.safetensors").touch()

    run_inline(asked, store)
    assert [path.name for path in (folder / "_checkpoints").iterdir()] == [f"{other}.safetensors"]


@pytest.mark.slow
def test_the_comparison_of_two_reports_tells_another_slope_from_another_seed(tmp_path: Path):
    ns = (100, 200, 400)
    one = make_store(tmp_path / "a", power_law(0.4, spread=0.05, seed=0, ns=ns))
    another_seed = make_store(tmp_path / "b", power_law(0.4, spread=0.05, seed=1, ns=ns))
    steeper = make_store(tmp_path / "c", power_law(0.9, spread=0.05, seed=0, ns=ns))

    assert all(line.inside for line in compare(one, another_seed))
    outside = {line.name for line in compare(one, steeper) if not line.inside}
    kind = "sphere, ±1 target, pure noise"
    assert outside == {f"{kind}: stability", f"{kind}: lipschitz"}
