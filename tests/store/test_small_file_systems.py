"""Runs into stores on file systems with room for little: real ones, of few bytes or of few files.

Run alone: python -m pytest tests/store/test_small_file_systems.py
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.chaos.disks import ALONE, can_mount

pytestmark = [
    pytest.mark.slow,
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

RUN = f"""
import json, subprocess, sys
from pathlib import Path

subprocess.run(["mount", "-t", "tmpfs", "-o", sys.argv[1], "tmpfs", "disk"], check=True)
command = [{str(Path(sys.executable).with_name("unilaw"))!r}, "run", "small.yaml"]
done = subprocess.run(
    [*command, "--inline", "--store", "disk/rows"], capture_output=True, text=True
)

import pandas as pd
rows = pd.read_parquet("disk/rows") if list(Path("disk/rows").glob("part-*")) else pd.DataFrame()
print(json.dumps({{
    "code": done.returncode,
    "said": done.stdout + done.stderr,
    "ok": int((rows["status"] == "ok").sum()) if len(rows) else 0,
    "named": sorted(rows["weights_file"].dropna()) if len(rows) else [],
    "kept": sorted(f"_weights/{{path.name}}" for path in Path("disk/rows/_weights").glob("*")),
}}))
"""


def on_a_disk_of(options: str, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Run the sweep into a store on a tmpfs that is mounted with these options."""
    (folder / "small.yaml").write_text(SWEEP)
    (folder / "disk").mkdir()
    done = subprocess.run(
        [*ALONE, sys.executable, "-c", RUN, options],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("options", ["size=500k", "nr_inodes=8"])
def test_rows_come_before_weights(options: str, tmp_path: Path, environment: dict[str, str]):
    found = on_a_disk_of(options, tmp_path, environment)
    assert found["code"] == 0, found["said"]
    assert found["ok"] == TRIALS
    assert found["named"] == found["kept"], "no row without its file, no file without its row"
    assert len(found["kept"]) < TRIALS
    assert "their rows are kept" in found["said"] or "its row is kept" in found["said"]
    assert "Traceback" not in found["said"]
