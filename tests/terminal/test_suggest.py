"""`unilaw suggest` writes a sweep that `unilaw plan` takes, and refuses what it cannot choose for.

Run alone: python -m pytest tests/terminal/test_suggest.py
"""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unilaw
from harness.commands import suggested_sweep as suggested
from harness.commands.suggest import flops_of, suggest
from harness.commands.suggested_sweep import _comments, budget_of, suggested_sweep
from harness.errors import UserError
from harness.planning import machine_speed
from harness.sweeps.sweep import load_sweep
from reports.evidence import read_evidence
from reports.suggest.question import ask
from reports.suggest.suggestion import Suggestion
from reports.suite.suite import UNIVERSAL_V1
from tests.reports.planted_frontiers import Shape, frontier_row
from tests.reports.stores import make_store, power_law, row

SMALL = str(UNIVERSAL_V1.references[0].folder)
KIND = "sphere, ±1 target, pure noise"


@pytest.mark.parametrize(
    ("text", "seconds", "unit"),
    [
        ("2h", 7200, "s"),
        ("90 min", 5400, "s"),
        ("1e18FLOP", 1e18, "FLOP"),
        ("3e9 flops", 3e9, "FLOP"),
    ],
)
def test_a_budget_has_a_unit(text: str, seconds: float, unit: str):
    assert budget_of(text) == (seconds, unit)


@pytest.mark.parametrize("text", ["2", "h", "-1h", "0s", "1e18", "1..2h", "1e999FLOP", "2 weeks"])
def test_another_budget_is_refused(text: str):
    with pytest.raises(UserError, match="must be a positive number with its unit"):
        budget_of(text)


@pytest.mark.slow
def test_the_next_trials_are_a_sweep_of_new_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """FLOPs as budget: no machine is timed, and the sum holds."""
    monkeypatch.setattr(machine_speed, "measured", lambda device: machine_speed.SMALL_MACHINE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = suggested_sweep(SMALL, KIND, "3e11FLOP", {}, False, lambda line: None)
    (tmp_path / "next.yaml").write_text(text)

    sweep = load_sweep(str(tmp_path / "next.yaml"))
    assert sweep.trials and {trial.ref.name for trial in sweep.trials} == {"sphere"}
    assert not {t.trial_id for t in sweep.trials} & set(unilaw.rows(SMALL)["trial_id"])
    planned = unilaw.plan(tmp_path / "next.yaml")
    assert planned.flops_at_most <= 3e11 and planned.trials == len(sweep.trials)

    before, after = (float(x) for x in _between(text, "fitted model: ", " now, ", " with"))
    assert 0 < after < before


def search(n: int, d: int, width: int, seed: int, radius: float) -> dict[str, Any]:
    """Return the row of a search that took a second for 100 parameters."""
    shape = Shape(n, d, width, 1)
    figures = frontier_row(shape, seed, radius)
    how = {"depth": 1, "stop": "epochs", "max_epochs": 10, "frontier": "adversary"}
    made = row(shape.p, n, d, seed, settings=how, wall_s=shape.p / 100)
    config = json.loads(made["settings_json"]) | {"width": width}
    taken = [name for name in figures if name.startswith(("frontier_", "radius_"))]
    changes = {name: figures[name] for name in taken} | {"stop_rule": "epochs"}
    return made | changes | {"config_json": json.dumps(config)}


@pytest.mark.slow
def test_the_next_searches_are_a_sweep_at_the_seconds_of_the_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The exponent of d from d = 64, 128 and 256 at p = n and 2n. No machine is timed."""
    monkeypatch.setattr(suggested, "calibrated", None)
    noise = iter(np.random.default_rng(0).standard_normal(12))
    rows = [
        search(1024, d, width, seed, 0.72 * (width / 1024) ** 0.5 * 1.04 ** next(noise))
        for d, widths in ((64, (16, 31)), (128, (8, 16)), (256, (4, 8)))
        for width in widths
        for seed in (0, 1)
    ]
    store = str(make_store(tmp_path / "store", rows))
    text = suggested_sweep(store, "frontier-d", "2min", {}, False, lambda line: None)
    (tmp_path / "next.yaml").write_text(text)

    trials = load_sweep(str(tmp_path / "next.yaml")).trials
    assert {trial.seed for trial in trials} == {0, 1} and len(trials) > 2
    assert all(trial.config["frontier"] == "adversary" for trial in trials)
    p = [Shape(1024, trial.config["d"], trial.config["width"], 1).p for trial in trials]
    assert f"predicted cost: {sum(p) / 100:.3g} s of 2min, if searches run in turn" in text
    before, after = (float(x) for x in _between(text, "fitted model: ", " now, ", " with"))
    assert 0 < after < before


@pytest.mark.slow
def test_the_next_command_can_be_copied_whatever_the_store_is_called(tmp_path: Path):
    """Two spaces in a row and a $ included; a line break does not end the comment."""
    store = make_store(tmp_path / "rows", power_law(0.3, spread=0.05, ns=(100, 200, 400)))
    question = ask(read_evidence(store), KIND)
    chosen = Suggestion([], 0.2, 0.1, 3.0)
    name = "the  rows\nof $HOME"
    head = _comments(name, question, chosen, ("1h", "s"), 2)
    assert f"run THIS --store {shlex.quote('the  rows of $HOME')}\n" in head
    assert all(line.startswith("# ") for line in head.splitlines())


def _between(text: str, start: str, middle: str, end: str) -> tuple[str, str]:
    first, _, rest = text.partition(start)[2].partition(middle)
    return first, rest.partition(end)[0]


@pytest.mark.parametrize("text", ["1e21", "1e21FLOP", "1e21 flops"])
def test_the_budget_of_a_table_is_in_flops(text: str):
    assert flops_of(text) == 1e21


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2h", "a duration, but unilaw does not know the machine .* give FLOPs, as in 1e21"),
        ("-1", "must be a positive number of FLOPs"),
        ("0", "must be a positive number of FLOPs"),
        ("1e999", "must be a positive number of FLOPs"),
        ("a lot", "must be a positive number of FLOPs"),
    ],
)
def test_another_budget_of_a_table_is_refused(text: str, words: str):
    with pytest.raises(UserError, match=words):
        flops_of(text)


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("runs.csv", {"output": Path("x.yaml")}, "unilaw cannot train its models"),
        ("runs.csv", {"read_sources": True}, "--read-sources: only for a store, and 'runs.csv' is"),
        ("runs.csv", {}, "there is no table 'runs.csv'"),
        ("runs/here", {"as_json": True}, "--json: only for a table, and 'runs/here' is a store"),
        ("s3://b/x.csv", {"columns": ["N=p"]}, "--columns: only for a table"),
    ],
)
def test_an_option_of_the_other_kind_of_source_is_refused(source, options, words):
    with pytest.raises(UserError, match=words):
        suggest(source, "alpha", "1e21", **options)
