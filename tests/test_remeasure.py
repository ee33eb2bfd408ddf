"""`unilaw measure`: kept weights measured again without training, as new rows beside the old
ones.

Run alone: python -m pytest tests/test_remeasure.py
"""

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from safetensors.torch import load_file, save_file

from harness.cli import main
from harness.execution import measuring
from harness.execution.run_batch import run_batch
from harness.remeasure import MEASURED
from harness.store import provenance
from harness.store.latest import latest
from harness.store.schema import MEASURES_VERSION, Columns, arrow_schema
from harness.store.store import Store
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings

pytestmark = pytest.mark.slow

SWEEP = """
name: small
seeds: [0, 1]
limits: {measure_points: 16}
tasks:
  - task: sphere
    fixed: {n: 64, d: 6, max_epochs: 20}
    grid: {width: [4, 8, 12]}
"""

INLINE = ("--inline", "--points", "16")
"""Sensitivity is measured on as many points as in the sweep."""


def unilaw(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["unilaw", *arguments])
    try:
        main()
    except SystemExit as e:
        return int(e.code or 0)
    return 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of six trials, as today's instruments measure them."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "small.yaml").write_text(SWEEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert unilaw(patch, "run", "small.yaml", "--inline", "--store", "s") == 0
    return folder


STALE = {
    "measures_version": MEASURES_VERSION - 1,
    "stability_attack_mean": 9.0,
    "lip_upper_product": None,
    "ece": 1.0,
    "nll": 9.0,
    "pictures_file": "_pictures/old.png",
}
"""What a row says that other instruments than today's measured. Today's give no nll for points."""


@pytest.fixture(scope="module")
def stale(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained store whose rows pretend to have been measured by the instruments
    before today's."""
    folder = Path(shutil.copytree(trained / "s", tmp_path_factory.mktemp("stale") / "old"))
    replace_rows(folder, lambda row: STALE)
    return folder


@pytest.fixture
def store(stale: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the stale store, of the test's own."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(stale, tmp_path / "old"))


@pytest.fixture(scope="module")
def measured(stale: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stale store, measured again. Nothing may be written into it."""
    folder = Path(shutil.copytree(stale, tmp_path_factory.mktemp("measured") / "old"))
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        assert unilaw(patch, "measure", str(folder), *INLINE) == 0
    assert "6 measured, 0 not, 0 up to date, 0 without kept weights" in said.getvalue()
    return folder


def rows(folder: Path) -> pd.DataFrame:
    return Store.open(folder).read().rows


def newest(folder: Path) -> pd.DataFrame:
    """Return the latest view, by trial id in order."""
    return latest(rows(folder)).set_index("trial_id").sort_index()


def test_everything_measured_is_new_and_everything_trained_is_as_it_was(
    stale: Path, measured: Path
):
    before = newest(stale)
    assert len(rows(measured)) == 12
    after = newest(measured)
    assert after.index.tolist() == before.index.tolist()
    assert after["measures_version"].eq(MEASURES_VERSION).all()
    assert after["measured_at"].notna().all()
    assert after["stability_attack_mean"].lt(1).all()
    assert after["lip_upper_product"].notna().all()
    for column in (
        "attempt",
        "p",
        "seed",
        "train_loss",
        "train_s",
        "epochs",
        "commit",
        "started_at",
        "wall_s",
        "weights_file",
        "data_hash",
    ):
        assert after[column].tolist() == before[column].tolist(), column


def test_it_finds_what_the_trial_itself_measured(trained: Path, measured: Path):
    """The weights in the store are the ones that were measured when they were trained."""
    first = newest(trained / "s")
    second = newest(measured)
    assert second["measured_at"].notna().all() and first["measured_at"].isna().all()
    for column in (
        "test_accuracy",
        "stability_attack_mean",
        "lip_lower_jacobian",
        "lip_upper_product",
        "margin_mean",
        "ece",
    ):
        assert second[column].tolist() == pytest.approx(first[column].tolist(), rel=1e-3), column


def test_what_todays_instruments_do_not_give_does_not_stay(measured: Path):
    after = newest(measured)
    assert after["ece"].lt(1).all()
    assert after["nll"].isna().all()
    assert after["pictures_file"].isna().all()


def test_a_second_time_there_is_nothing_to_do(
    measured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert unilaw(monkeypatch, "measure", str(measured), *INLINE) == 0
    assert "0 measured, 0 not, 6 up to date, 0 without kept weights" in capsys.readouterr().out
    assert len(rows(measured)) == 12


def test_every_measured_column_is_one_that_a_new_row_takes(tmp_path: Path):
    fixed = "{n: 30, label_flip: 0.2, width: 4, max_epochs: 1}"
    text = f"name: a\nseeds: [0]\ntasks:\n  - {{task: mnist, fixed: {fixed}}}\n"
    (trial,) = parse_sweep(text, "a.yaml").trials
    batch = Batch(((trial,),))
    settings = RunSettings(1, 0, 60, 10**6, measure_points=8, checkpoints=None)
    (trained,) = run_batch(batch, settings)
    assert trained.weights is not None
    (tmp_path / f"{trial.trial_id}.safetensors").write_bytes(trained.weights)

    kept = str(tmp_path / "{}.safetensors")
    (again,) = run_batch(batch, settings._replace(trained=kept))
    about_process = {"wall_s", "peak_bytes", "gpus", "started_at", "measures_version"}
    about_trial = {"status", "data_hash", "weights_sha256", "measure_s"}
    others = about_process | about_trial | provenance.of_worker("cpu").keys()
    assert again.columns["status"] == "ok"
    assert again.columns.keys() - others <= set(MEASURED)
    assert again.pictures is not None and trained.pictures is not None


def test_weights_that_are_gone_torn_or_not_finite_cost_their_own_trial_only(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    gone, torn, not_finite, *_ = sorted((store / "_weights").iterdir())
    gone.unlink()
    torn.write_bytes(torn.read_bytes()[:50])
    weights = load_file(not_finite)
    save_file({name: tensor * float("nan") for name, tensor in weights.items()}, not_finite)

    assert unilaw(monkeypatch, "measure", str(store), *INLINE) == 1
    assert "3 measured, 3 not (2 bug, 1 nan)" in capsys.readouterr().out
    after = newest(store)
    assert after["status"].eq("ok").all(), "the old rows stand"
    spoilt = {path.stem for path in (gone, torn, not_finite)}
    assert set(after.index[after["measures_version"] < MEASURES_VERSION]) == spoilt
    assert after.drop(list(spoilt))["stability_attack_mean"].lt(1).all()


TASK = """
from harness.task import Data, Size, Task
from tasks.sphere import Sphere, SphereConfig


class Mine(Sphere):
    name = "mine"
"""


def test_a_task_file_in_the_store_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Whoever wrote the store may have written that file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(TASK)
    sweep = SWEEP.replace("sphere", "mine").replace("[4, 8, 12]", "[4]")
    (tmp_path / "mine.yaml").write_text(sweep)
    run = ("run", "mine.yaml", "--task-file", "mine.py", "--inline", "--store", "s")
    assert unilaw(monkeypatch, *run) == 0
    record = next((tmp_path / "s" / "_sweeps").glob("*.json"))
    planted = tmp_path / "planted"
    evil = json.loads(record.read_text())
    evil["task_source"] = f"open({str(planted)!r}, 'w')\n{TASK}"
    record.write_text(json.dumps(evil))
    assert unilaw(monkeypatch, "measure", "s", *INLINE, "--again") == 2
    assert (
        "'mine', which is not installed; name its file with --task-file" in capsys.readouterr().err
    )
    assert not planted.exists()
    assert unilaw(monkeypatch, "measure", "s", *INLINE, "--again", "--task-file", "mine.py") == 0
    assert not planted.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "there is no store 'nowhere'"),
        (["old", "--inline", "--address", "auto"], "give one of them"),
        (["old", "--gpus", "0.3"], "--gpus 0.3: must be 0, 1, or a share 1/k"),
        (["old", "--gpus", "2"], "--gpus 2: must be 0, 1, or a share 1/k"),
    ],
)
def test_bad_input_is_one_sentence(
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
):
    assert unilaw(monkeypatch, "measure", *arguments) == 2
    assert sentence in capsys.readouterr().err


def replace_rows(folder: Path, change: Callable[[Columns], Columns]) -> None:
    """Write the store's rows anew, each with what `change` returns for it."""
    table = pa.Table.from_pandas(
        rows(folder), schema=arrow_schema(), preserve_index=False
    ).to_pylist()
    for part in folder.glob("part-*.parquet"):
        part.unlink()
    Store.open(folder).append([{**row, **change(row)} for row in table])


def test_trials_of_many_sizes_of_data_are_measured_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """600 points are fewer than the search begins from, 2 000 are more."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sizes.yaml").write_text(
        "name: sizes\nseeds: [0]\nlimits: {measure_points: 4}\ntasks:\n  - task: sphere\n"
        "    fixed: {d: 4, max_epochs: 2}\n    grid: {n: [600, 2000], width: [4, 6]}\n"
    )
    assert unilaw(monkeypatch, "run", "sizes.yaml", "--inline", "--store", "s") == 0
    assert unilaw(monkeypatch, "measure", "s", "--inline", "--points", "4", "--again") == 0
    assert latest(rows(tmp_path / "s"))["measured_at"].notna().all()


CHANGED = [
    ({"trial_id": "../../escaped"}, "a row's trial id is '../../escaped', which is none"),
    ({"task_version": 7}, "is of version 7 of the task 'sphere', and here it is 1"),
    (
        {"config_json": '{"n": 64, "gone": 1}'},
        "its configuration is not one of the task 'sphere' any more",
    ),
    ({"data_hash": "0" * 64}, "its data are not those it was trained on"),
]
"""What a row may say instead of the truth, and the answer."""


def test_a_row_that_does_not_tell_the_truth_is_said_and_left(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    trials = sorted(rows(store)["trial_id"])
    changes = {trial: change for trial, (change, _) in zip(trials, CHANGED, strict=False)}
    replace_rows(store, lambda row: changes.get(row["trial_id"], {}))

    assert unilaw(monkeypatch, "measure", str(store), *INLINE) == 1
    captured = capsys.readouterr()
    assert "2 measured, 4 not (1 data, 3 unknown)" in captured.out
    for _, sentence in CHANGED:
        assert sentence in captured.err
    after = newest(store)
    up_to_date = after.index[after["measures_version"].eq(MEASURES_VERSION)]
    assert up_to_date.tolist() == trials[len(CHANGED) :]
    assert not list(store.parent.glob("*.png"))
    assert not (store.parent / "escaped.safetensors").exists()


def test_a_model_that_cannot_be_measured_costs_only_itself(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    measure = measuring.measure

    def refuses_seed_1(program, samples, seeds, points):
        if any(s.seed == 1 for s in seeds):
            raise RuntimeError("an instrument gave up")
        return measure(program, samples, seeds, points)

    monkeypatch.setattr(measuring, "measure", refuses_seed_1)
    assert unilaw(monkeypatch, "measure", str(store), *INLINE) == 1
    assert "3 measured, 3 not (3 bug)" in capsys.readouterr().out
    after = newest(store)
    assert after["measures_version"].eq(MEASURES_VERSION).tolist() == after["seed"].eq(0).tolist()
