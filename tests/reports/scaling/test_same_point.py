"""Rows of equal sizes: how they differ is said with figures, and the lowest of each point can be
kept.

Run alone: python -m pytest tests/reports/scaling/test_same_point.py
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import unilaw
from harness.errors import UserError
from reports.scaling.table import load
from reports.scaling.written import as_json

BEST = 0.004
RATES = (0.001, 0.002, BEST, 0.008)


def sweep(measure: str = "loss", spread: float = 0.1) -> pd.DataFrame:
    """Return a sweep of learning rate and batch at 9 points: the loss is `spread` higher for each
    doubling of the rate from the best, and the batch does not matter. Columns that are no settings:
    a name, a time, a seed, and steps, which follow from tokens and batch."""
    rows = []
    for n in (1e7, 1e8, 1e9):
        for d in (1e9, 1e10, 1e11):
            for i, rate in enumerate(RATES):
                for batch in (32, 64):
                    best = 1.8 + 400 * n**-0.34 + 1500 * d**-0.36
                    loss = best * (1 + spread * abs(np.log2(rate / BEST)))
                    time = len(rows) ** 0.5
                    rows.append((n, d, rate, batch, d / batch, i, f"run {time}", time, loss))
    names = ["N", "D", "lr", "batch_size", "steps", "seed", "exp_name", "iter", measure]
    return pd.DataFrame(rows, columns=names)


def test_rows_that_differ_at_one_point_are_told_with_figures():
    (said,) = [note for note in load(sweep()).notes if "--lowest" in note]
    assert "The 72 rows lie at 9 points of 'N' and 'D'" in said
    # Rates are 2, 1, 0 and 1 doublings from the best: the middle lies 10 % above it.
    assert "the middle 'loss' lies 10 % above the lowest and the highest 20 %" in said
    assert "where 'lr' and 'batch_size' vary like settings" in said
    assert "(Python: lowest=True)" in said


def test_rows_of_other_seeds_are_not():
    assert not [note for note in load(sweep(spread=0.003)).notes if "--lowest" in note]
    alone = sweep().drop_duplicates(["N", "D"])
    assert not [note for note in load(alone).notes if "--lowest" in note]


def test_a_measure_that_no_setting_explains_is_told_too():
    bare = sweep()[["N", "D", "loss"]]
    (said,) = [note for note in load(bare).notes if "--lowest" in note]
    assert "(medians over points): the curve" in said
    assert "or, if they differ in settings, not in seeds, keep the row" in said


def test_the_lowest_of_a_setting_is_not_advised():
    """The best learning rate of a point is no lowest one."""
    rates = load(sweep(), columns={"N": "N", "D": "D", "Y": "lr"})
    (said,) = [note for note in rates.notes if "rows lie at" in note]
    assert said.endswith("choose rows with --where.")
    named = load(sweep("perplexity"), columns={"N": "N", "D": "D", "L": "perplexity"})
    assert [note for note in named.notes if "--lowest" in note]


def test_the_lowest_row_of_each_point_is_kept():
    frame = sweep()
    loaded = load(frame.sample(frac=1, random_state=0), lowest=True)
    best = frame.groupby(["N", "D"])["loss"].min()
    found = pd.Series(loaded.points.y, index=[loaded.points.inputs[role] for role in "ND"])
    pd.testing.assert_series_equal(found.sort_index(), best, check_names=False)
    assert (loaded.rows, loaded.left_out) == (9, 63)
    assert not [note for note in loaded.notes if "--lowest" in note]


def test_a_measure_that_is_better_high_has_no_lowest(unilaw_here, tmp_path: Path):
    for measure in ("accuracy", "val_acc", "acc,none", "core_score", "exact match"):
        frame = sweep(measure)
        with pytest.raises(UserError, match=r"^--lowest: higher values of [^\n]+$"):
            load(frame, columns={"N": "N", "D": "D", "Y": measure}, lowest=True)
    assert not [note for note in load(sweep("accuracy")).notes if "--lowest" in note]

    sweep("accuracy").to_csv(tmp_path / "runs.csv", index=False)
    done = unilaw_here("fit", "runs.csv", "--lowest", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert "choose rows with --where" in done.stderr


@pytest.mark.slow
def test_the_filter_names_the_lowest_in_every_output():
    curve = sweep().query("N == 1e8")[["D", "lr", "loss"]]
    found = unilaw.fit(curve, "power", where="lr>0.001", lowest=True)
    kept = "lr>0.001 and the lowest 'loss' at each point"
    text = " ".join(str(found).split())
    assert f"Filter: {kept}, which leaves out 21 rows." in text and "Fitted: 3 rows" in text
    assert json.loads(as_json(found))["table"]["lowest"] is True
    assert set(found.to_frame()["filter"]) == {kept}


def test_sets_of_rows_are_told_apart_and_their_lowest_is_not_advised():
    """Two data sets at the same points: the lowest of a point is that of the easier one."""
    names = ["comma", "dclm"]
    frame = pd.concat([sweep().assign(dataset_name=name, model="a") for name in names])
    frame["loss"] *= np.where(frame["dataset_name"] == "dclm", 1.2, 1)
    frame["size_name"] = frame["N"].map({1e7: "small", 1e8: "middle", 1e9: "large"})
    notes = load(frame).notes
    assert notes[0] == (
        "'dataset_name' has 2 values (comma, dclm): one curve mixes them; choose rows with --where,"
        " such as --where 'dataset_name=comma'."
    )
    (said,) = [note for note in notes if "rows lie at" in note]
    assert "vary like settings" in said
    assert said.endswith("choose rows with --where.")
    one = load(frame, where=["dataset_name=dclm"]).notes
    assert not [note for note in one if "one curve mixes" in note]
    assert [note for note in one if "--lowest" in note]


def test_a_size_with_an_unusual_name_is_asked_about():
    rows = [(n, s, 3 - 0.1 * np.log10(n * s)) for n in (1e7, 1e8, 1e9) for s in (1e3, 1e4, 1e5)]
    frame = pd.DataFrame(rows, columns=["params", "train_steps", "loss"])
    (said,) = [note for note in load(frame).notes if "rows lie at" in note]
    assert "if 'train_steps' is a size, such as D (training tokens)" in said
    assert "--columns 'D=train_steps'" in said and "--lowest" not in said
    named = load(frame, columns="D=train_steps")
    assert list(named.points.inputs) == ["N", "D"]
