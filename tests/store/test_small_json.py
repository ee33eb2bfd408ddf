"""Small JSON files of ours: whatever is wrong with one, the answer is the same, and what can be
made anew is.

Run alone: python -m pytest tests/store/test_small_json.py
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from harness.errors import UserError
from harness.planning import machine_speed
from harness.planning.devices import Device, processor
from harness.planning.machine_speed import SMALL_MACHINE, calibration_as_json
from harness.store.disk import Disk
from harness.store.records import RunRecord
from harness.store.small_json import Damaged, read_json
from harness.store.store import Store
from harness.sweeps.registry import TaskRef
from harness.sweeps.trial import Trial
from harness.training.checkpoint import TrialCheckpoint
from tests.store.rows import NOON

DAMAGE = {
    "empty": "",
    "NUL": "\x00",
    "torn": '{"schema_version": ',
    "a list": "[5]",
    "a number": "5",
    "infinite": '{"schema_version": Infinity}',
    "too large": '{"schema_version": 1e999}',
    "not a number": '{"schema_version": NaN}',
    "deep": '{"schema_version":' * 20_000 + "5" + "}" * 20_000,
    "deep lists": '{"schema_version": ' + "[" * 20_000 + "]" * 20_000 + "}",
    "text": '{"schema_version": "five"}',
    "of another kind": '{"schema_version": {}}',
}


@pytest.mark.parametrize("text", list(DAMAGE.values())[:-2], ids=list(DAMAGE)[:-2])
def test_damage_has_one_answer(text: str):
    with pytest.raises(Damaged):
        read_json(text)
    with pytest.raises(Damaged):
        read_json(b"\xff" + text.encode())


def test_what_is_whole_is_read():
    brackets = {"text": "[" * 100, "nested": [[{"a": [1.5, None]}]]}
    assert read_json(json.dumps(brackets)) == brackets
    assert read_json(b'{"a": NaN}', nan=True)["a"] != 0
    with pytest.raises(Damaged):
        read_json(b'{"a": -Infinity}', nan=True)


@pytest.mark.parametrize("text", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_marker_is_refused_in_one_sentence(store: Store, text: str):
    (Path(store.where) / "_store.json").write_text(text)
    for open_store in (Store.open, Store.create):
        with pytest.raises(UserError, match="cannot be read as a store's marker.*write {"):
            open_store(store.where)


CALIBRATION = json.loads(calibration_as_json(SMALL_MACHINE, processor(1)))
OTHER_DEVICE = Device("cuda", "some GPU", 1)


@pytest.mark.parametrize(
    "text",
    [
        *DAMAGE.values(),
        json.dumps({**CALIBRATION, "slowdown": float("inf")}),
        json.dumps({**CALIBRATION, "alone": [-1.0, 0, 0, 0]}),
        json.dumps({**CALIBRATION, "alone": [float("nan"), 0, 0, 0]}),
        json.dumps({**CALIBRATION, "alone": ["1", 0, 0, 0]}),
        json.dumps({**CALIBRATION, "alone": 3}),
        json.dumps({**CALIBRATION, "processes": 0}),
        json.dumps({**CALIBRATION, "version": 1}),
        calibration_as_json(SMALL_MACHINE, OTHER_DEVICE),
    ],
)
def test_a_damaged_calibration_is_timed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
):
    device = processor(1)
    path = machine_speed.calibration_file(device)
    whole = machine_speed.calibrated(device, print)
    kept = tmp_path / "kept.json"
    kept.write_text(text)
    monkeypatch.setattr(machine_speed, "calibration_file", lambda device: kept)
    monkeypatch.setattr(machine_speed, "measured", lambda device: whole)
    said: list[str] = []
    assert machine_speed.calibrated(device, said.append) == whole and len(said) == 1
    assert machine_speed.calibrated(device, said.append) == whole and len(said) == 1, "kept again"
    assert path.exists()


@pytest.mark.parametrize("header", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_checkpoint_with_a_damaged_header_is_no_checkpoint(tmp_path: Path, header: str):
    trial = Trial("0" * 16, TaskRef("sphere"), {}, 0)
    content = header.encode()
    file = tmp_path / "trial.safetensors"
    file.write_bytes(len(content).to_bytes(8, "little") + content + save({"a": torch.ones(1)}))
    checkpoint = TrialCheckpoint(Disk(tmp_path), file.name, trial)
    assert checkpoint.load(torch.device("cpu")) is None


def test_an_infinite_time_is_no_record_of_a_run(store: Store):
    with pytest.raises(ValueError, match="finite"):
        RunRecord(sweep="s", began=NOON, inline=True, trials=1, forecast_s=1, seconds=float("inf"))
    (Path(store.where) / "_runs").mkdir()
    (Path(store.where) / "_runs" / "s-1.json").write_text(DAMAGE["deep"])
    assert store.runs() == []
