"""Slips in somebody's task cost its own trials and nothing else: a row with a reason, through
the real command.

Run alone: python -m pytest tests/sweeps/test_broken_tasks.py
"""

import sys
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import UserError
from harness.store.store import Store
from tests import ROOT

TASK = """
import torch
from torch import nn
from harness.noise import flip_labels
from harness.task import Config, Data, Field, Size, Task


class C(Config):
    how: str = Field(default="fine", description="what goes wrong")
    layers: tuple[int, ...] = Field(default=(4,), description="a field that JSON has no type for")
    width: int = Size(4, description="units")


class Broken(Task):
    name = "broken"
    Config = C

    def input_shape(self, config):
        return (3,)

    def family(self, config):
        if config.how == "family":
            raise ValueError("no family")
        return "broken"

    def data(self, config, seeds):
        if config.how == "surrogate":
            raise ValueError("bad \\udc80 text")
        x = torch.randn(config.n + 50, 3, generator=seeds.generator("data"))
        y, noise = flip_labels(torch.where(x[:, 0] > 0, 1.0, -1.0), 0.2, seeds.generator("noise"))
        if config.how == "column":
            y = y[:, None]
        if config.how == "zero-one":
            y = (y + 1) / 2
        if config.how == "nan-input":
            x[-1] = float("nan")
        return Data(x[:config.n], y[:config.n], x[config.n:], y[config.n:], noise)

    def model(self, config):
        if config.how == "model":
            raise KeyError("no such layer")
        return nn.Sequential(nn.Linear(3, config.width), nn.ReLU(), nn.Linear(config.width, 1))
"""

SWEEP = """
name: broken
seeds: [0]
tasks:
  - task: broken
    fixed: {n: 40, max_epochs: 3}
    grid: {how: [fine, family, surrogate, column, zero-one, nan-input, model]}
"""

SAID = {
    "family": "no family",
    "surrogate": "bad ? text",
    "column": "labels of shape (40, 1)",
    "zero-one": "labels other than −1 and +1",
    "nan-input": "inputs that are not finite",
    "model": "no such layer",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, unilaw_here) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "broken.py").write_text(TASK)
    (folder / "broken.yaml").write_text(SWEEP)
    done = unilaw_here(
        "run", "broken.yaml", "--task-file", "broken.py", "--inline", "--store", "rows", cwd=folder
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    (folder / "stderr").write_text(done.stderr)
    return folder


@pytest.mark.slow
def test_every_slip_is_a_row_with_its_reason(folder):
    rows = (
        pd.read_parquet(folder / "rows")
        .assign(how=lambda t: t["config_json"].str.extract('"how":"([^"]*)"')[0])
        .set_index("how")
    )
    assert len(rows) == 7 and rows.loc["fine", "status"] == "ok"
    for how, said in SAID.items():
        assert (rows.loc[how, "status"], rows.loc[how, "failure_kind"]) == ("failed", "bug")
        assert said in str(rows.loc[how, "failure_message"])


@pytest.mark.slow
def test_plan_and_run_name_a_model_that_cannot_be_built_and_go_on(folder, unilaw_here):
    done = unilaw_here("plan", "broken.yaml", "--task-file", "broken.py", cwd=folder)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    for stderr in (done.stderr, (folder / "stderr").read_text()):
        assert "1 cells are not counted, because their models cannot be built" in stderr
        assert "the model of task 'broken' raises KeyError for {" in stderr
    assert "broken: 6 cells, 7 trials" in done.stdout


@pytest.mark.slow
def test_a_gpu_that_is_not_there_is_said_and_not_replaced(folder, unilaw_here):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    (folder / "gpu.yaml").write_text(
        SWEEP.replace("name: broken", "name: gpu\nresources: {gpus: 1}").replace(", family", "")
    )
    unilaw_here(
        "run", "gpu.yaml", "--task-file", "broken.py", "--inline", "--store", "gpu", cwd=folder
    )
    rows = pd.read_parquet(folder / "gpu")
    assert (
        rows["status"].eq("failed").all()
        and rows["failure_message"].str.contains("asks for a GPU").all()
    )


@pytest.mark.soak
def test_errors_stay_one_sentence_behind_a_symlink(tmp_path, environment):
    """The package reached by another path than its own: it must not be imported twice."""
    import subprocess

    link = tmp_path / "link"
    link.symlink_to(ROOT)
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from harness.cli import main; main()"
    command = [sys.executable, "-c", code, str(link), "run", "nowhere.yaml"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and done.stderr.startswith(
        "unilaw: there is no sweep file 'nowhere.yaml'"
    ), done.stderr


HOSTILE_RECORDS = {
    "path": '{"name": "../../escaped", "text": "name: x", "task_source": null, "trials": {}}',
    "list": '{"name": "x", "text": "", "task_source": null, "trials": ["a"]}',
    "torn": '{"name": "x", "te',
}


@pytest.mark.parametrize("record", HOSTILE_RECORDS.values(), ids=HOSTILE_RECORDS.keys())
def test_a_foreign_sweep_record_is_named_and_leads_nowhere(tmp_path, record):
    from harness.store.compact import compact

    store = Store.create(tmp_path / "inner" / "store")
    (Path(str(store)) / "_sweeps").mkdir()
    (Path(str(store)) / "_sweeps" / "x.json").write_text(record)
    assert store.sweeps() == []
    assert any(
        "_sweeps/x.json: cannot be read as a sweep's record" in problem
        for problem in store.read().problems
    )
    compact(Path(str(store)), tmp_path / "inner" / "compacted")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["inner"]


def test_a_row_file_that_cannot_be_opened_is_an_error_and_stays(tmp_path, monkeypatch):
    store = Store.create(tmp_path / "store")
    (Path(str(store)) / "part-1.parquet").write_bytes(b"good rows behind a bad network")

    def stale(path):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(Path, "read_bytes", stale)
    for work in (store.read, store.set_torn_aside):
        with pytest.raises(UserError, match="Stale file handle"):
            work()
    assert (Path(str(store)) / "part-1.parquet").exists()
