"""The first screen: its numbers come from rows, and its commands and gaps from the store.

Run alone: python -m pytest tests/reports/sections/test_header.py
"""

import base64
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from harness.store.store import Store, SweepRecord
from reports.evidence import read_evidence
from reports.fits.slope import Slope
from reports.sections import header, how_sure
from reports.sections.data_sources import data_sources
from tests.reports.ledger import check_section, group_of, name_of
from tests.reports.page_reader import Page, section_of
from tests.reports.reference_fits import slope
from tests.reports.stores import failed, make_store, row


@pytest.mark.slow
def test_every_number_is_recomputed_from_rows(rich):
    check_section(rich, "header", recomputed)


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    if group_of(key) == "rules":
        rows = rows[rows["status"].eq("ok")]
        before = rows["finished_at"] < pd.Timestamp("2026-11-27 15:30", tz="UTC")
        return {"version": 6, "all": len(rows), "before": before.sum()}[name_of(key)]
    return count(key, used, rows) if group_of(key) == "count" else answer(key, used, ledger)


def count(key: str, used: pd.DataFrame, rows: pd.DataFrame) -> float:
    name = name_of(key)
    ok = rows[rows["status"] == "ok"]
    if name in ("below", "fitted"):
        assert (
            used["below_bayes_error"].all()
            and used["below_noise"].all()
            and (used["stop_reason"] != "epoch_cap").all()
        )
        assert len(used) == (ok["below_bayes_error"] & ok["below_noise"]).sum() or name == "fitted"

    return {
        "ok": len(ok),
        "plain": len(ok),  # this store has no search for the frontier
        "failed": (rows["status"] == "failed").sum(),
        "replaced": 0,
        "left": 0,
        "attempts": len(rows),
        "below": len(used),
        "fitted": len(used),
        "large_n": 0,
        "unplaced": ok["n"].isna().sum(),
        "p_min": ok["p"].min(),
        "p_max": ok["p"].max(),
        "flops": ok["flops"].sum(),
        "wall": ok["wall_s"].sum(),
        "measure_share": ok["measure_s"].sum() / ok["wall_s"].sum(),
    }[name]


def answer(key: str, used: pd.DataFrame, ledger: dict) -> float:
    """Return a number of the first screen from the slopes on the law's cards, which another test
    fits anew, or from the rows behind it."""
    group, name = key.split(":")[1], name_of(key)
    if key == "answer:ceiling" or key == "answer:bound:+0.5":
        return 10**0.5 - 1
    if key == "answer:bound:-0.5":
        return 1 - 10**-0.5
    if key == "answer:ceiling over S":
        least, value = ceiling_over_stability(used), ledger[key]["value"]
        assert 1 < value <= least < 1.1 * value
        return value
    kind = ["family", "outputs", "eta", "stop_rule"]
    if name in ("trials", "curves") and group != "sure":
        own = used.groupby(kind, dropna=False)["settings_json"].nunique()
        return len(used) if name == "trials" else own.sum()
    if group == "headline":
        return used.groupby(kind, dropna=False).ngroups
    if group == "sure" and name == "silent":
        return ledger[key]["value"]  # the law's cards show them
    if group == "sure" and name == "before":
        own = key.split(":")[2]
        return 10 ** ledger[f"law:{own}:stability_attack_mean:slope"]["value"] - 1
    if group == "sure" and name.startswith("after"):
        own, factor = key.split(":")[2], name.split()[1]
        return 10 ** ledger[f"filter:{own}:stability_attack_mean:{factor}:slope"]["value"] - 1
    if group == "sure":
        kinds = used.groupby(kind, dropna=False)
        curves = kinds["settings_json"].nunique()
        return {
            "trials": len(used),
            "cells": kinds["config_json"].nunique().sum(),
            "curves": curves.sum(),
            "kinds": len(curves),
            "pooled": (curves < 3).sum(),
            "flips": 0,
        }[name]
    if name == "kinds":
        return used.groupby(kind, dropna=False).ngroups
    if name in ("p_min", "p_max"):
        return used["p"].agg(name[2:])
    if name == "largest":
        return used["p"].max()

    end = {"growth": "slope"}.get(name, name)
    if key.count(":") == 2:
        return 10 ** ledger[f"law:{group}:stability_attack_mean:{end}"]["value"] - 1
    if key.split(":")[2] == "no-embeddings":
        return ledger[key]["value"]  # test_answer_choices plants it
    column = COLUMNS[key.split(":")[2]]
    central = slope(used, used[column])
    value = np.log10(1 + ledger[key]["value"])
    if end == "slope":
        return 10**central - 1
    tiny = 1e-9  # a slope of 0 is one of rounding errors
    assert value <= central + tiny if end == "low" else value >= central - tiny, key
    return ledger[key]["value"]


COLUMNS = {
    "radius": "training_radius",
    "lipschitz": "lip_lower",
    "attack": "robust_area_l2",
    "noise": "flip_rate",
}
"""Choice of a measure → the column whose slope it states."""


def ceiling_over_stability(used: pd.DataFrame) -> float:
    """Return the least ceiling over stability among cells, by von Berg's formula."""
    over = []
    for _, own in used.groupby(used["config_json"] + used["family"] + used["stop_rule"]):
        first = own.iloc[0]
        estimates = (
            own["isoperimetry_c"].fillna(1).clip(lower=1).mask(own["isoperimetry"].eq("proved"), 1)
        )
        c = estimates.mean()
        classes, epsilon = max(2, first["outputs"]), first["bayes_error"] / 2
        places = first["n"] * first["d_ambient"]
        by_size = 3 * classes / epsilon * (c * first["p"] / places) ** 0.5
        by_dimension = (8 * c / first["d_ambient"] * np.log(6 * classes / epsilon)) ** 0.5
        over.append(max(by_size, by_dimension) / own["stability_attack_mean"].mean())
    return min(over)


def first_screen(tmp_path, rows, *sweeps: SweepRecord) -> tuple[Page, str]:
    folder = make_store(tmp_path / "store", rows, sweep=False)
    for sweep in sweeps:
        Store(folder).put_sweep(sweep)
    section = section_of(header, folder)
    assert section is not None
    return Page(str(section.html)), str(section.html)


@pytest.mark.slow
def test_trials_that_were_asked_for_and_never_ran_are_counted_as_left(tmp_path):
    asked = {row()["trial_id"]: "sphere", "f" * 16: "sphere"}
    sweep = SweepRecord(name="made", text="name: made", task_source=None, trials=asked)
    page, _ = first_screen(tmp_path, [row()], sweep)
    assert ("count:left", "1.0", "1") in page.data


def test_the_first_screen_names_the_data_and_hides_its_maker(tmp_path):
    rows = [
        row(1, family="gpt", settings={"source": "python-stdlib"}, python_version="3.12.1"),
        row(2, family="mnist-mlp", settings={"source": "idx:/srv/ada/digits"}),
        row(3, family="sphere"),
    ]
    evidence = read_evidence(make_store(tmp_path / "store", rows))
    digits, text = data_sources(evidence)
    assert digits.startswith("MNIST: idx:") and "ada" not in digits
    assert text == (
        "GPTs: text of the source files of Python's standard library, Python 3.12.1 (python-stdlib)"
    )


def test_certificates_that_fall_with_size_are_said_beside_an_upper_estimate():
    kind = "mnist-mlp, 10 classes"
    judged = [SimpleNamespace(kind=kind, family="mnist-mlp")]
    for (low, high), said in (((-0.10, -0.06), True), ((-0.10, 0.02), False)):
        own = Slope((low + high) / 2, low, high, 8, 3, 0, 1.1, low, high, ("a",), "")
        fits = SimpleNamespace(slopes_of=lambda column, own=own: {kind: own})
        text = str(how_sure._certified(fits, judged))  # pyright: ignore
        assert ("MNIST, p^-0.08 (-0.10 to -0.06)" in text) == said == bool(text)


@pytest.mark.slow
def test_a_reader_can_run_the_sweep_again(tmp_path):
    text = "name: made\nseeds: [0]\ntasks: [{task: own, fixed: {n: 8}}]\n"
    asked = {row()["trial_id"]: "own"}
    sweep = SweepRecord(name="made", text=text, task_source="class Own: ...", trials=asked)
    page, html = first_screen(tmp_path, [row()], sweep)
    assert "unilaw run made.yaml --task-file made.py" in page.prose()
    link = re.search(r'<a download="made.yaml" href="data:application/yaml;base64,([^"]+)"', html)
    assert link is not None
    assert yaml.safe_load(base64.b64decode(link[1])) == yaml.safe_load(text)


@pytest.mark.slow
def test_two_sweeps_of_one_name_keep_their_files_apart(tmp_path):
    sweeps = [
        SweepRecord(name="made", text=text, task_source=None, trials={row()["trial_id"]: "sphere"})
        for text in ("name: made # 1", "name: made # 2")
    ]
    _, html = first_screen(tmp_path, [row()], *sweeps)
    assert len(set(re.findall(r'download="(made-[0-9a-f]{8}\.yaml)"', html))) == 2


@pytest.mark.slow
def test_the_gaps_are_those_of_the_rows(tmp_path):
    page, _ = first_screen(tmp_path / "sphere", [row(2000)])
    gaps = page.prose().partition("Not tested here")[2]
    assert (
        "more parameters than" in gaps
        and "(Random data)" in gaps
        and "no trial searched for it" in gaps
    )
    assert "MNIST" not in gaps and "assumption" not in gaps

    other = [row(family="mnist-mlp", isoperimetry="assumed", epsilon=0.0)]
    gaps = first_screen(tmp_path / "mnist", other)[0].prose().partition("Not tested here")[2]
    assert "(MNIST)" in gaps and "plain training on MNIST compares" in gaps and "assumption" in gaps
    assert "noise" not in gaps


def test_a_store_without_a_finished_trial_says_so(tmp_path):
    page, _ = first_screen(tmp_path, [failed()])
    assert "nothing to fit" in page.prose() and "How sure?" not in page.prose()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, True),
        ({"isoperimetry": "assumed", "isoperimetry_c": None}, False),  # the ceiling is not known
        ({"stability_cap": 1e6}, False),  # a measured S could have lain above it
    ],
)
def test_no_model_could_have_broken_the_law_only_where_its_ceiling_is_known(
    tmp_path, changes, said
):
    rows = [row(p, n=128, d=16, stability=0.0997, **changes) for p in (10**6, 10**7)]
    page, _ = first_screen(tmp_path, rows)
    text = "no model of these sizes could have broken it"
    assert (text in page.prose()) == said and (
        "at one nat (1.44 bits) a parameter" in page.prose()
    ) == said
    values = [float(value) for key, value, _ in page.data if key == "answer:ceiling over S"]
    assert len(values) == said


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.2, "1 s"),
        (42, "42 s"),
        (390, "6 min"),
        (3600, "1 h"),
        (7800, "2 h 10 min"),
        (23.999 * 3600, "1 d"),
        (123 * 3600, "5 d 3 h"),
    ],
)
def test_the_time_behind_the_rows_is_said_as_a_clock_says_it(seconds, expected):
    assert header._duration(seconds) == expected


@pytest.mark.parametrize(
    ("pooled", "expected"),
    [
        ((True, False), "Of the 2 intervals, 1 is rough: it rests on one or two curves (MNIST,"),
        ((True, True), "Of the 2 intervals, 2 are rough: they rest on one or two curves"),
        ((False, False), ""),
    ],
)
def test_borrowed_widths_are_said_in_the_number_of_their_verb(pooled, expected):
    judged = [
        SimpleNamespace(
            kind=f"mnist-mlp, {target}",
            family="mnist-mlp",
            stability=SimpleNamespace(pooled=own, trials=("a",)),
        )
        for target, own in zip(("10 classes", "±1 target"), pooled, strict=True)
    ]
    text = str(how_sure._borrowed(judged))  # pyright: ignore
    assert text.startswith(expected) and bool(text) == bool(expected)
    assert not text or text.endswith("and on the spread of all kinds.")
