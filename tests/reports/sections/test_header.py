"""The head of the page: counts and headline.

Run alone: python -m pytest tests/reports/sections/test_header.py
"""

import re

import pandas as pd
import pytest

from harness.store.store import Store, SweepRecord
from reports.evidence import read_evidence
from reports.page import render
from tests.reports.ledger import check_section, group_of, name_of
from tests.reports.page_reader import Page
from tests.reports.stores import make_store, row


@pytest.mark.slow
def test_every_number_is_recomputed_from_rows(rich):
    check_section(rich, "header", recomputed)


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    if group_of(key) == "rules":
        rows = rows[rows["status"].eq("ok")]
        before = rows["finished_at"] < pd.Timestamp("2026-11-27 05:00", tz="UTC")
        return {"version": 3, "all": len(rows), "before": before.sum()}[name_of(key)]
    return count(key, used, rows) if group_of(key) == "count" else headline(key, ledger)


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


def headline(key: str, ledger: dict) -> float:
    name = name_of(key)
    family, kept = (
        key.split(":")[1],
        re.compile(r"law:([\w-]+), .*:stability_attack_mean:slope"),
    )
    slopes = [
        v["value"]
        for k, v in ledger.items()
        if (m := kept.fullmatch(k)) and m[1] == family and "no injected" not in k
    ]
    return {"kinds": len(slopes), "low": min(slopes), "high": max(slopes)}[name]


@pytest.mark.slow
def test_the_headline_sets_language_models_beside_the_other_families(rich):
    prose = " ".join(" ".join(rich[0].text).split())
    head = prose[
        prose.index("Below the noise, stability grows") : prose.index(
            "The law, and what was measured"
        )
    ]
    order = [head.index(f"of {family}") for family in ("gpt", "other", "sphere")]

    assert (
        order == sorted(order)
        and "No verdict" in head
        and "pretrained" in head[head.index("No verdict") :]
    )


@pytest.mark.slow
def test_trials_that_were_asked_for_and_never_ran_are_counted_as_left(tmp_path):
    folder = make_store(tmp_path / "store", [row()], sweep=False)
    Store(folder).put_sweep(
        SweepRecord(
            name="made",
            text="name: made",
            task_source=None,
            trials={row()["trial_id"]: "sphere", "f" * 16: "sphere"},
        )
    )
    assert ("count:left", "1.0", "1") in Page(render(read_evidence(folder))).data
