"""The short forms of tests/chaos/: what happens to runs loses nothing."""

import io
import random
import sys
from pathlib import Path

import pytest
from rich.console import Console

from harness.run import run
from harness.store.store import Store
from harness.sweeps.sweep import parse_sweep
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
    assert result.did == dict.fromkeys(KINDS, 1) and result.found["runs"] >= 3
    assert result.found["ok"] == result.found["trials"] == 19 * result.found["sweeps"]
    assert result.found["stacked"] > 0 and result.found["row_files"] > 3


@linux
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
@pytest.mark.timeout(900)
def test_a_full_disk_costs_the_trial_that_filled_it_or_ends_the_run_with_a_sentence(
    tmp_path: Path, environment: dict[str, str]
):
    of_trial, of_store = disks(tmp_path, environment)
    assert of_trial.failures == [] and of_trial.found["failed_rows"] == {"bug": 1}
    assert (
        of_store.failures == [] and of_store.found["row_files_when_full"] < of_store.found["trials"]
    )


@linux
@pytest.mark.timeout(900)
def test_two_drivers_on_one_store_lose_nothing_and_show_nothing_twice(
    tmp_path: Path, environment: dict[str, str]
):
    result = rivals(tmp_path, seeds=1, inline=True, environment=environment)
    assert result.failures == []
    assert result.found["ok"] == result.found["trials"] == 8 and result.found["done_twice"] > 0


def test_what_a_killed_run_left_of_a_finished_trials_checkpoint_goes_with_the_next_run(
    tmp_path: Path,
):
    asked = parse_sweep(
        "name: a\nseeds: [0]\ntasks:\n  - {task: sphere, fixed: {n: 8, max_epochs: 1}}\n", "a.yaml"
    )
    folder = tmp_path / "rows"
    store = Store.create(folder)
    finished, other = asked.trials[0].trial_id, "0" * 16
    run(asked, store, None, True, False, Progress(Console(file=io.StringIO())))
    for name in (
        f"{finished}.safetensors",
        f"_tmp-{finished}.safetensors-77",
        f"{other}.safetensors",
    ):
        (folder / "_checkpoints" / name).touch()
    run(asked, store, None, True, False, Progress(Console(file=io.StringIO())))
    assert [path.name for path in (folder / "_checkpoints").iterdir()] == [f"{other}.safetensors"]


def test_the_comparison_of_two_reports_tells_another_slope_from_another_seed(tmp_path: Path):
    one, again, steeper = (
        make_store(tmp_path / name, power_law(b, spread=0.05, seed=seed))
        for name, b, seed in (("a", 0.4, 0), ("b", 0.4, 1), ("c", 0.9, 0))
    )
    assert all(line.inside for line in compare(one, again))
    assert {line.name for line in compare(one, steeper) if not line.inside} >= {
        "headline:sphere:low",
        "headline:sphere:high",
    }
