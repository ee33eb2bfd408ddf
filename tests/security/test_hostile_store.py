"""A store, a sweep's name or a key that somebody wrote who means ill leads nowhere outside the
store.

Run alone: python -m pytest tests/security/test_hostile_store.py
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from harness.store.folder import LeadsOut
from harness.store.store import RunRecord, Store, SweepRecord
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import canonical_json
from tests.reports.stores import NOW, failed, make_store, png, row
from tests.security.canary import SECRET, bytes_by_file

IDS = ("00000000000000aa", "00000000000000bb", "00000000000000cc", "00000000000000dd")

WAYS_OUT = (
    "../outside/canary",
    "../../../../../../../../etc/passwd",
    "/etc/passwd",
    "..",
    "a/../../outside/canary",
    "\x00",
    "~/.ssh/id_rsa",
)

ESCAPE = "\x1b]0;owned\x07\x1b[2J"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """A folder with `store`, received from somebody who means ill, and `outside`, which no
    command may read from or write to."""
    place = tmp_path_factory.mktemp("received")
    outside = place / "outside"
    outside.mkdir()
    (outside / "canary").write_text(SECRET)
    (outside / "canary.png").write_bytes(png() + SECRET.encode())
    (outside / "canary.safetensors").write_text(SECRET)

    store = make_store(place / "store", hostile_rows(), sweep=False)
    put_hostile_records(store)
    put_links(store, outside)
    (store / f"part-{ESCAPE.replace('/', '')}.parquet").write_text("torn")
    return place


def hostile_rows() -> list[dict[str, Any]]:
    """Rows whose files, ids and texts lead out of the store or steer a terminal."""
    task = load(TaskRef("sphere"))
    of_sphere = {
        "task": "sphere",
        "task_version": task.version,
        "config_json": canonical_json(task.Config().plain()),
        "measures_version": 1,
    }
    files = [
        *WAYS_OUT,
        "../outside/canary.png",
        "_pictures/../../outside/canary.png",
        f"_pictures/{IDS[2]}.png",
        f"_pictures/{IDS[3]}.png",
    ]
    rows = [
        row(10 + k, weights_file=file, pictures_file=file, pictures=[], **of_sphere)
        for k, file in enumerate(files)
    ]
    rows += [
        row(90 + k, trial_id=way, weights_file="_weights/x", **of_sphere)
        for k, way in enumerate(WAYS_OUT)
    ]
    rows += [
        row(70 + k, trial_id=i, weights_file=f"_weights/{i}.safetensors", **of_sphere)
        for k, i in enumerate(IDS[:2])
    ]
    rows.append(
        failed(p=5, task=f"sphere{ESCAPE}", failure_kind=f"bug{ESCAPE}", failure_message=ESCAPE)
    )
    return rows


def put_hostile_records(store: Path) -> None:
    """One good record of a sweep, and records of sweeps and of a run that lead out."""
    Store.open(store).put_sweep(
        SweepRecord(name="made", text="name: made\n", task_source=None, trials={IDS[0]: "sphere"})
    )
    sweeps = store / "_sweeps"
    good = json.loads(next(sweeps.glob("*.json")).read_text())
    for k, way in enumerate(WAYS_OUT):
        (sweeps / f"bad-{k}.json").write_text(json.dumps({**good, "name": way}))
        (sweeps / f"worse-{k}.json").write_text(json.dumps({**good, "trials": {way: "sphere"}}))

    run = {
        "sweep": "../up",
        "began": NOW.isoformat(),
        "inline": True,
        "trials": 1,
        "forecast_s": 0,
        "seconds": 1,
    }
    (store / "_runs").mkdir()
    (store / "_runs" / "bad.json").write_text(json.dumps(run))


def put_links(store: Path, outside: Path) -> None:
    """Weights and pictures that are links to files outside, and to a device without an end."""
    (store / "_weights").mkdir()
    (store / "_pictures").mkdir()
    (store / f"_weights/{IDS[0]}.safetensors").symlink_to(outside / "canary.safetensors")
    (store / f"_pictures/{IDS[2]}.png").symlink_to(outside / "canary.png")
    (store / f"_pictures/{IDS[3]}.png").symlink_to("/dev/zero")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["status", "store"],
        ["report", "store"],
        ["measure", "store", "--inline", "--again", "--points", "2"],
        ["compact", "store", "new"],
    ],
    ids=lambda command: command[0],
)
def test_a_hostile_store_reads_and_writes_nothing_outside_itself(
    hostile: Path, tmp_path: Path, unilaw_here, command: list[str]
):
    shutil.copytree(hostile, tmp_path / "here", symlinks=True)
    here = tmp_path / "here"
    if command[0] == "compact":  # which refuses a store with torn files
        (torn,) = (p for p in (here / "store").glob("part-*") if p.stat().st_size < 10)
        torn.unlink()
    outside = bytes_by_file(here / "outside")
    done = unilaw_here(*command, cwd=here)
    assert done.returncode in (0, 1, 2) and "Traceback" not in done.stderr, done.stderr
    assert bytes_by_file(here / "outside") == outside
    assert {p.name for p in here.iterdir()} <= {"store", "outside", "new"} and {
        p.name for p in tmp_path.iterdir()
    } == {"here"}
    written = {
        name: content
        for folder in ("store", "new")
        for name, content in bytes_by_file(here / folder).items()
        if not is_link(here, name)
    }
    assert [name for name, content in written.items() if SECRET.encode() in content] == []
    assert SECRET not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr, "a store must not steer the reader's terminal"


def is_link(here: Path, name: str) -> bool:
    return (here / "store" / name).is_symlink() and not (here / "new" / name).exists()


NAMES = [
    "../evil",
    "a/b",
    "/abs",
    "..",
    ".",
    "",
    "a\nb",
    "a\x00b",
    "A",
    "-x",
    "a b",
    "ü",
    "x" * 65,
    "a.b",
    "%2e%2e",
    "a\\b",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_sweeps_name_leads_nowhere(name: str):
    with pytest.raises(UserError, match="name"):
        parse_sweep(
            f"name: {json.dumps(name)}\nseeds: [0]\ntasks:\n  - task: sphere\n", "sweep.yaml"
        )
    with pytest.raises(ValueError, match="name"):
        SweepRecord(name=name, text="", task_source=None, trials={})
    with pytest.raises(ValueError, match="sweep"):
        RunRecord(sweep=name, began=NOW, inline=True, trials=0, forecast_s=0, seconds=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_tasks_name_is_looked_up_and_nothing_else(name: str):
    with pytest.raises(UserError, match="task"):
        parse_sweep(f"name: a\nseeds: [0]\ntasks:\n  - task: {json.dumps(name)}\n", "sweep.yaml")


@pytest.mark.parametrize(
    "key",
    ["../evil", "../../evil", "a/../../../evil", "../../../../../../../../tmp/evil-of-unilaw"],
)
def test_a_stores_keys_stay_in_the_store(tmp_path: Path, key: str):
    store = Store.create(tmp_path / "in" / "store")
    before = bytes_by_file(tmp_path)
    for put in (store.put_weights, store.put_pictures):
        with pytest.raises(LeadsOut):
            put(key, b"content")
    assert bytes_by_file(tmp_path) == before and not Path("/tmp/evil-of-unilaw").exists()
