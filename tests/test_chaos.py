"""The short form of tests/chaos.py: a run that is killed in each of the three ways loses nothing."""

import io
import random
from pathlib import Path

import pytest
from rich.console import Console

from harness.progress import Progress
from harness.run import run
from harness.store import Store
from harness.sweep import parse_sweep
from tests.chaos import KINDS, Chaos


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="follows processes through /proc")
def test_a_run_that_is_killed_in_every_way_loses_nothing(tmp_path: Path, environment: dict[str, str]):
    chaos = Chaos(tmp_path, seeds=1, marathons=[512], epochs=600, draw=random.Random(0), anywhere=0, pause=1, environment=environment)
    counts = chaos.storm(["worker", "driver", "everything"])
    assert counts["failures"] == []
    assert counts["kills"] == dict.fromkeys(KINDS, 1) and counts["runs"] >= 3
    assert counts["ok"] == counts["trials"] == 19 * counts["rounds"]
    assert counts["stacked"] > 0 and counts["row_files"] > 3


def test_what_a_killed_run_left_of_a_finished_trials_checkpoint_goes_with_the_next_run(tmp_path: Path):
    asked = parse_sweep("name: a\nseeds: [0]\ntasks:\n  - {task: sphere, fixed: {n: 8, max_epochs: 1}}\n", "a.yaml")
    store = Store.create(tmp_path / "rows")
    finished, other = asked.trials[0].trial_id, "0" * 16
    run(asked, store, None, True, False, Progress(Console(file=io.StringIO())))
    for name in (f"{finished}.safetensors", f"_tmp-{finished}.safetensors-77", f"{other}.safetensors"):
        (store.folder / "_checkpoints" / name).touch()
    run(asked, store, None, True, False, Progress(Console(file=io.StringIO())))
    assert [path.name for path in (store.folder / "_checkpoints").iterdir()] == [f"{other}.safetensors"]
