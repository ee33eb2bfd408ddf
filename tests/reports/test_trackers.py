"""Rows go to trackers once each, the newest in place of the older; what a store says about its
machine, its user or a secret stays here.

The tests of a tracker that is not installed are skipped: their packages are large, and the tests
need none of them.

Run alone: python -m pytest tests/reports/test_trackers.py
"""

import importlib.util
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import unilaw
from harness.store.data_note import shared_draws
from harness.store.store import Store
from reports.latest_rows import latest_rows
from reports.trackers import push as push_module
from reports.trackers.push import push
from reports.trackers.runs import Run
from reports.trackers.what_leaves import NOT_SENT, what_leaves
from tests import ROOT
from tests.store.planted_secret import SECRET
from tests.store.rows import FAILED, NOON, row

IDS = ("0123456789abcdef", "123456789abcdef0", "23456789abcdef01")

PLANTED = ("planted-host", "planteduser", "/home/", "secret.txt", SECRET, "10.0.0.7", "a@b")
"""Parts of texts that must not leave."""

FIELDS = {
    "source": "text:/home/planteduser/secret.txt",
    "folder": "~/secret.txt",
    "model": "mlp of PLANTED-HOST",
    "key": SECRET,
    "peer": "10.0.0.7",
    "mail": "a@b",
    "shape": [8, 8],
    "tokenizer": "hub:openai-community/gpt2",
    "head": "digits",
    "width": 8,
}
"""Fields of a configuration, of which the last three may leave."""


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this machine the names that are looked for."""
    monkeypatch.setattr("platform.node", lambda: "planted-host.example.org")
    monkeypatch.setattr("getpass.getuser", lambda: "planteduser")
    monkeypatch.setenv("HF_TOKEN", SECRET)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of three trials that say too much, one of them failed."""
    store = Store.create(tmp_path / "planted-host" / "rows")
    told: dict[str, Any] = {
        "config_json": json.dumps(FIELDS),
        "settings_json": json.dumps(FIELDS),
        "environment_json": json.dumps({"KEY": SECRET}),
        "weights_file": "/home/planteduser/w.safetensors",
        "cpu": "Intel(R) Xeon(R) CPU @ 2.20GHz",
        "torch_version": "2.13.0+cpu",
        "test_accuracy": 0.5,
        "noise_radii": [0.1, 0.2],
        "attack_warnings": [f"read /home/planteduser/secret.txt with {SECRET}"],
    }
    store.append([row(IDS[0], **told), row(IDS[1], **told)])
    failed = {**FAILED, "failure_message": f"no file /home/planteduser/secret.txt, key {SECRET}"}
    store.append([row(IDS[2], **{**told, **failed})])
    return store


def measure_again(store: Store) -> None:
    config = {"config_json": json.dumps(FIELDS), "test_accuracy": 0.9}
    store.append([row(IDS[0], measurement=1, measured_at=NOON, **config)], again=True)


def test_nothing_that_was_planted_leaves(store: Store):
    leaving = what_leaves(latest_rows(store.where))
    text = leaving.rows.to_csv()
    assert [part for part in PLANTED if part.lower() in text.lower()] == []
    assert leaving.withheld == dict.fromkeys(
        ("source", "folder", "model", "key", "peer", "mail", "shape"), 3
    )
    for name, value in (
        ("tokenizer", "hub:openai-community/gpt2"),
        ("head", "digits"),
        ("cpu", "Intel(R) Xeon(R) CPU @ 2.20GHz"),
        ("torch_version", "2.13.0+cpu"),
        ("kind", "toy, ±1 target, no injected noise"),
    ):
        assert leaving.rows[name].iloc[0] == value
    assert leaving.rows["trial_id"].tolist() == list(IDS)
    assert list(leaving.rows["noise_radii"].iloc[0]) == [0.1, 0.2]
    assert leaving.rows["source"].eq(NOT_SENT).all() and leaving.rows["width"].eq(8).all()


def test_a_note_on_the_data_leaves_where_it_is_one_that_a_run_writes(tmp_path: Path):
    notes = [shared_draws(["torch", "random"]), "from torch, of /home/planteduser/secret.txt", None]
    store = Store.create(tmp_path / "rows")
    store.append([row(name, data_note=note) for name, note in zip(IDS, notes, strict=True)])
    leaving = what_leaves(latest_rows(store.where))
    assert leaving.rows["data_note"].dropna().tolist() == [notes[0], NOT_SENT]
    assert leaving.withheld == {"data_note": 1}


class Fake:
    """A tracker in memory that can be cut off."""

    runs: dict[str, Run] = {}
    breaks_after: int | None = None

    def __init__(self, project: str):
        self.project = project

    def known(self) -> dict[str, str]:
        return {trial: run.version for trial, run in self.runs.items()}

    def send(self, run: Run) -> None:
        if len(self.runs) == self.breaks_after:
            raise KeyboardInterrupt
        self.runs[run.trial] = run


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Fake]]:
    module = types.ModuleType("reports.trackers.json_runs")
    module.Tracker = Fake  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(push_module, "TRACKERS", ("json",))
    monkeypatch.setattr(Fake, "runs", {})
    yield Fake


@pytest.mark.slow
def test_each_newest_row_is_sent_once(store: Store, fake: type[Fake], monkeypatch):
    monkeypatch.setattr(fake, "breaks_after", 2)
    with pytest.raises(KeyboardInterrupt):
        push(store.where, "json")
    monkeypatch.setattr(fake, "breaks_after", None)
    pushed = push(store.where, "json")
    assert (pushed.project, pushed.sent, pushed.before) == ("s", 1, 2), "it went on"

    run = fake.runs[IDS[0]]
    assert run.name == "toy, ±1 target, no injected noise p=1 seed=0" and run.ok
    assert run.figures == {"p": 1.0, "outputs": 1.0, "test_accuracy": 0.5}
    assert (run.config["width"], run.config["seed"], run.config["source"]) == (8, 0, NOT_SENT)
    assert not fake.runs[IDS[2]].ok

    assert push(store.where, "json").sent == 0
    measure_again(store)
    assert push(store.where, "json")[1:3] == (1, 2)
    assert fake.runs[IDS[0]].figures["test_accuracy"] == 0.9 and len(fake.runs) == 3


def test_what_cannot_be_sent_is_one_sentence(store: Store, tmp_path: Path, monkeypatch):
    cases = [
        ((store.where, "mlfow"), "must be mlflow, wandb, trackio; did you mean 'mlflow'?"),
        ((store.where, "wandb", "../x"), "--project '../x': must be up to 100 letters"),
        ((Store.create(tmp_path / "empty").where, "wandb"), "has no rows yet"),
    ]
    with monkeypatch.context() as installed:
        installed.setattr(importlib.util, "find_spec", lambda name: object())
        for arguments, sentence in cases:
            with pytest.raises(unilaw.UserError, match=r"^[^\n]+$") as refused:
                unilaw.track(*arguments)
            assert sentence in str(refused.value)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(unilaw.UserError, match="wandb is not installed; `pip install wandb`"):
        unilaw.track(store.where, "wandb")


def everything_below(folder: Path) -> bytes:
    files = [path for path in folder.rglob("*") if path.is_file() and "rows" not in path.parts]
    return b"\n".join(part for path in files for part in (path.name.encode(), path.read_bytes()))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["mlflow", "wandb", "trackio"])
def test_a_tracker_takes_the_runs(name: str, store: Store, tmp_path: Path, monkeypatch):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/mlruns")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # its database needs more packages
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))

    pushed = push(store.where, name, "the project")
    assert (pushed.sent, pushed.before) == (3, 0)
    measure_again(store)
    assert push(store.where, name, "the project")[1:3] == (1, 2)
    assert push(store.where, name, "the project")[1:3] == (0, 3)

    written = everything_below(tmp_path)
    assert b"test_accuracy" in written
    program = str(ROOT)  # where this process's files lie
    for part in ("planted-host", "planteduser", "secret.txt", SECRET, "10.0.0.7", program):
        assert part.encode() not in written, part
    assert b"pyarrow==" not in written, "the names of installed packages stay here"
