"""Runs into stores on file systems with room for little: real ones, of few bytes or of few files.
test_little_room.py holds the same of a quota that it makes up, in no time.

Run alone: python -m pytest tests/store/test_small_file_systems.py
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests import ROOT
from tests.chaos.disks import ALONE, can_mount

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(
        sys.platform != "linux" or not can_mount(),
        reason="mounts a small file system in a namespace of its own",
    ),
]

TRIALS = 6
SWEEP = f"""
name: small
seeds: {{range: [0, {TRIALS}]}}
limits: {{measure_points: 0}}
tasks: [{{task: sphere, fixed: {{n: 32, d: 16, width: 1200, max_epochs: 1}}}}]
"""
"""Each trial's weights take some 90 kB."""

SMALL = ("size=500k", "nr_inodes=8")
"""Options that tmpfs is mounted with."""

RUN = """
import contextlib, io, json, subprocess, sys
from pathlib import Path

import pandas as pd
from harness.cli import main

found = {}
for number, options in enumerate(sys.argv[1:]):
    disk = Path(f"disk-{number}")
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)
    sys.argv = ["unilaw", "run", "small.yaml", "--inline", "--store", f"{disk}/rows"]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main()
    except SystemExit as e:
        code = int(e.code or 0)

    rows = pd.read_parquet(disk / "rows")
    weights = (disk / "rows" / "_weights").glob("*")
    found[options] = {
        "code": code,
        "said": said.getvalue(),
        "ok": int((rows["status"] == "ok").sum()),
        "ray": bool(rows["ray_version"].notna().any()),
        "named": sorted(rows["weights_file"].dropna()),
        "kept": sorted(f"_weights/{path.name}" for path in weights),
    }
print(json.dumps(found))
"""
"""Both runs in one process, which spares the second its imports."""


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """What was found after a run into a store on a tmpfs, by the tmpfs's options."""
    folder = tmp_path_factory.mktemp("disks")
    (folder / "small.yaml").write_text(SWEEP)
    done = subprocess.run(
        [*ALONE, sys.executable, "-c", RUN, *SMALL],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("options", SMALL)
def test_rows_come_before_weights(options: str, runs: dict[str, dict[str, Any]]):
    found = runs[options]
    assert found["code"] == 0, found["said"]
    assert found["ok"] == TRIALS
    assert not found["ray"], "inline needs no Ray"
    assert found["named"] == found["kept"], "no row without its file, no file without its row"
    assert len(found["kept"]) < TRIALS
    assert "their rows are kept" in found["said"] or "its row is kept" in found["said"]
    assert "Traceback" not in found["said"]
