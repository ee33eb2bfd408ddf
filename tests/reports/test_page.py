"""The page: every number traced to rows, right on thin stores, escaped, and free of network
requests."""

import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import least_squares
from scipy.stats import spearmanr

import reports.published.tables
from harness.errors import UserError
from harness.store.records import RunRecord
from harness.store.store import Store
from reports.claims import CHECKED
from reports.evidence import read_evidence
from reports.measures import MEASURES
from reports.page import TABLE_COLUMNS, render, write_report
from tests.reports.published.test_tables import ACCURACIES, MODELS, recompute
from tests.reports.stores import (
    NOW,
    failed,
    language_row,
    make_store,
    of_schema_2,
    power_law,
    pretrained_row,
    row,
    text_row,
)


class Page(HTMLParser):
    """What the tests read from the HTML: scripts by id or key, <data> elements, table cells, and
    visible text."""

    def __init__(self, html: str):
        super().__init__()
        self.scripts, self.data, self.cells, self.text, self.links = {}, [], {}, [], []
        self._script = self._data = self._trial = self._column = None
        self._hidden = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.links += [v for k, v in attrs if k in ("src", "href", "action", "srcset")]
        if tag == "script":
            self._script = a.get("data-key") or a.get("id") or "code"
        self._hidden += tag in ("script", "style", "title")
        if tag == "data":
            self._data = (a["data-key"], a["value"])
        if tag == "tr":
            self._trial = a.get("data-trial")
        if tag == "td":
            self._column = a.get("data-column")

    def handle_endtag(self, tag):
        self._hidden -= tag in ("script", "style", "title")
        if tag == "script":
            self._script = None
        if tag == "td":
            self._column = None

    def handle_data(self, data):
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        elif self._data:
            self.data.append((*self._data, data))
            self._data = None
        elif self._column and self._trial:
            self.cells[self._trial, self._column] = data
        elif not self._hidden:
            self.text.append(data)


HOLLOW = {"below_noise": False, "below_bayes_error": False}
RESAMPLED = {
    "outputs": 10,
    "sigma2": None,
    "bayes_error": 0.3,
    "epsilon": 0.15,
    "noise_kind": "label_resample",
    "eta": 0.3,
}
CLEAN = {
    "task": "mnist",
    "isoperimetry": "assumed",
    "outputs": 10,
    "sigma2": None,
    "bayes_error": 0.0,
    "epsilon": 0.0,
    **HOLLOW,
}
INTERPOLATED = {
    "family": "mnist-mlp",
    "stop_rule": "interpolate",
    "stop_reason": "interpolated",
    **CLEAN,
}
EPOCHS = {"family": "mnist-cnn", "stop_rule": "epochs", "stop_reason": "epoch_cap", **CLEAN}


def pictured(r):
    """The row with a picture's file, which is not there, and what is on it."""
    changes = [
        ("1", "1", "7", 0.05 + r["p"] * 1e-6),
        ("3", "3", "8", 0.11),
        ("5", "5", "5", 0.2),
        ("6", "6", "0", None),
    ]
    pictures = [
        dict(zip(("label", "before", "after", "distance"), change, strict=True))
        for change in changes
    ]
    return r | {"pictures_file": f"_pictures/{r['trial_id']}.png", "pictures": pictures}


RICH = (
    power_law(0.3, 0.3, 0.1, spread=0.05, ns=(100, 200, 400), ds=(8, 16, 32))
    + [
        r | {"test_accuracy": 0.5 + 0.02 * i + 0.001 * i**2, "data_hash": f"{i % 3}"}
        for i, r in enumerate(
            power_law(
                0.1,
                spread=0.05,
                changes={"family": "other", "isoperimetry": "assumed", **RESAMPLED},
            )
        )
    ]
    + [
        row(
            p,
            400,
            9,
            stop_rule="interpolate",
            train_error=0.0 if p > 300 else 0.1,
            stop_reason="interpolated",
        )
        for p in (100, 400, 900)
    ]
    + [
        row(p, 4000, 784, test_accuracy=a, **INTERPOLATED)
        for p, a in ((1000, 0.85), (4000, 0.93), (9000, 0.96))
    ]
    + [
        pictured(
            row(
                p, 60_000, 784, s, test_accuracy=1 - 0.01 - 30 * p**-0.8 - 0.001 * s, **INTERPOLATED
            )
        )
        for p in (800, 3000, 10_000, 30_000, 100_000, 300_000)
        for s in (0, 1)
    ]
    + [
        row(
            690_000,
            60_000,
            784,
            epochs=15,
            settings={"batch_size": 5},
            test_accuracy=0.989,
            test_accuracy_se=0.001,
            **EPOCHS,
        )
    ]
    + [
        row(
            p,
            60_000,
            784,
            settings={"adversary": "pgd", "adversary_radius": 0.3},
            robust_accuracy_linf=[0.97, 0.95, a],
            **EPOCHS,
        )
        for p, a in ((52_506, 0.8), (206_954, 0.91), (821_706, 0.93), (3_274_634, 0.96))
    ]
    + [
        row(7, 50, 5, attack_warnings=["no gradient at 9 % of the points", "missed 3 points"]),
        row(
            8,
            50,
            5,
            lip_upper_note="no bound is known for Softmax",
            attack_warnings=["missed 4 points"],
            lip_upper_product=None,
        ),
    ]
    + of_schema_2([row(p, 60, 6, family="older") for p in (9, 10, 20, 40, 80)])
    + [
        text_row(p, s, p**-0.2 * (1 + 0.01 * s))
        for p in (300, 600, 1200, 2400, 4800, 9600)
        for s in (0, 1)
    ]
    + [pretrained_row(p) for p in (500, 900)]
    + [failed(p=7)]
)


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    folder = make_store(tmp_path_factory.mktemp("rich") / "store", RICH)
    return Page(render(read_evidence(folder))), pd.read_parquet(folder).set_index(
        "trial_id"
    ).assign(**derived)


def at_radius(name: str, radius: float):
    return lambda t: pd.Series(
        [
            np.nan if r is None else float(dict(zip(np.round(r, 9), v, strict=True))[radius])
            for r, v in zip(t[f"robust_{name}_radii"], t[f"robust_accuracy_{name}"], strict=True)
        ],
        index=t.index,
    )


def area(name: str):
    """Trapezoids by hand, over the range of the radii."""

    def one(r, v):
        return (
            np.nan
            if r is None
            else sum((r[i + 1] - r[i]) * (v[i] + v[i + 1]) / 2 for i in range(len(r) - 1))
            / (r[-1] - r[0])
        )

    return lambda t: pd.Series(
        [
            one(r, v)
            for r, v in zip(t[f"robust_{name}_radii"], t[f"robust_accuracy_{name}"], strict=True)
        ],
        index=t.index,
    )


def under(kind: str):
    def one(corruptions):
        return (
            np.nan
            if corruptions is None
            else next(
                c["accuracy"] for c in corruptions if c["kind"] == kind and c["severity"] == 3
            )
        )

    return lambda t: t["corruptions"].map(one)


def token_kl(rows: pd.DataFrame, distance: int) -> pd.Series:
    """KL after another token at that distance."""
    wanted = {"kind": "replaced", "distance": distance}.items()

    def of_row(changes: Any) -> float:
        if changes is None:
            return math.nan
        return next(c["kl"] for c in changes if wanted <= c.items())

    return rows["token_changes"].map(of_row)


derived = {
    "x_law": lambda t: t["p"] / (t["n"] * t["d_ambient"]),
    "flip_rate": lambda t: pd.Series(
        [np.nan if v is None else float(v[1]) for v in t["noise_flip_rate"]], index=t.index
    ),
    "robust_linf": at_radius("linf", 0.3),
    "robust_l2": at_radius("l2", 0.08),
    "robust_area_linf": area("linf"),
    "robust_area_l2": area("l2"),
    "kl_noise": lambda t: t["noise_kl"].map(lambda v: np.nan if v is None else v[1]),
    "kl_far_token": lambda t: token_kl(t, 8),
    "corruption_blur": under("blur"),
    "corruption_shift": under("shift"),
    "lip_lower": lambda t: t["lip_lower_pairs"].where(t["family"] != "older", t["lip_lower_grad"]),
    "lip_mean": lambda t: t["lip_mean_jacobian"].where(t["family"] != "older", t["lip_mean_grad"]),
}


def slope(rows: pd.DataFrame, y: pd.Series) -> float:
    """Least squares with a dummy per curve: the reference that the report's slopes are checked
    against."""
    curves = pd.get_dummies(rows["settings_json"] + rows["family"]).to_numpy(float)
    return float(
        np.linalg.lstsq(np.column_stack([np.log(rows["p"]), curves]), np.log(y), rcond=None)[0][0]
    )


def test_every_number_in_the_prose_is_in_the_ledger_and_comes_from_rows(rich):
    page, rows = rich
    ledger = {n["key"]: n for n in json.loads(page.scripts["ledger"])}
    assert len(page.data) > 60
    for key, value, _ in page.data:
        assert key in ledger and (ledger[key]["value"] == float(value)), key
    for key, entry in ledger.items():
        used = rows.loc[list(entry["trials"])] if entry["trials"] else rows.iloc[:0]
        expected = recomputed(key, used, rows, ledger)
        assert entry["value"] == pytest.approx(expected, rel=1e-6), f"{key}: {entry['how']}"


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    """The number again, from plain rows, by other code than the report's."""
    group, _, rest = key.partition(":")
    name = key.rpartition(":")[2]
    ok = rows[rows["status"] == "ok"]
    if group == "count":
        if name in ("below", "fitted"):
            assert (
                used["below_bayes_error"].all()
                and used["below_noise"].all()
                and (used["stop_reason"] != "epoch_cap").all()
            )
            assert (
                len(used) == (ok["below_bayes_error"] & ok["below_noise"]).sum() or name == "fitted"
            )
        return {
            "ok": len(ok),
            "failed": (rows["status"] == "failed").sum(),
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
    if group == "headline":
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
    if group in ("law", "C8") and name in ("robust", "fragile", "open"):
        low = {
            k: v["value"]
            for k, v in ledger.items()
            if k.startswith("C8:") and k.endswith(":low") and "certified" not in k
        }
        signs = []
        for k, v in low.items():
            measure, high = k.split(":")[-2], ledger[k[:-3] + "high"]["value"]
            sign = 1 if v > 0 else -1 if high < 0 else 0
            signs.append(sign if measure.startswith(("stability", "robust")) else -sign)
        return signs.count({"robust": 1, "fragile": -1, "open": 0}[name])
    if group in ("law", "C8"):
        column = key.split(":")[-2]
        y = used[column]
        central = slope(used, y)
        if name == "slope":
            return central
        if name in ("smallest", "largest"):
            single = [
                slope(rows, y[rows.index])
                for _, rows in used.groupby(used["family"] + used["settings_json"])
            ]
            return min(single) if name == "smallest" else max(single)
        if name == "dropped":
            return (
                rows.loc[rows["family"] == used["family"].iloc[0], column].isna().sum()
                if "robust" not in column
                else 0
            )
        if name in ("cells", "curves"):
            curve = used["family"] + used["settings_json"]
            return (curve + used["p"].astype(str)).nunique() if name == "cells" else curve.nunique()
        value = ledger[key]["value"]
        if name == "low":
            assert value <= central + 1e-9 and value > central - 0.5
        elif name == "high":
            assert value >= central - 1e-9 and value < central + 0.5
        else:
            assert name == "held-out" and value == pytest.approx(held_out(used, y), rel=1e-6)
        return value
    if group == "C1":
        fitted = used.groupby("p")["train_error"].max() == 0
        first = fitted.index[fitted].min()
        below = max(p for p in fitted.index if p < first)
        n = used["n"].iloc[0]
        return {
            "n": n,
            "d": used["d_ambient"].iloc[0],
            "first": first,
            "below": below,
            "low": below / n,
            "high": first / n,
            "cap": used["epochs"].max(),
        }[name]
    if group in ("C7", "C9", "published"):
        assert used.empty
        return recompute(key)
    if group == "C3":
        one = used.drop_duplicates("data_hash")
        assert (one["isoperimetry"] == "proved").all() and one["d_ambient"].isin([5, 32]).all()
        place = {"low": 0, "fifth": 1, "high": 6}
        if name in place:
            return float(
                np.median(
                    [
                        q[place[name]] * u
                        for q, u in zip(
                            one["pair_distance_quantiles"], one["data_unit"], strict=True
                        )
                    ]
                )
            )
        return {
            "d": one["d_ambient"].iloc[0],
            "mean": (one["pair_distance_mean"] * one["data_unit"]).median(),
        }[name]
    if group == "C4":
        return crossing(key, name, used, ledger)
    if group == "C5":
        (one,) = used.to_dict("records")
        assert (
            abs(one["p"] - 688_000) <= 68_800
            and one["epochs"] == 15
            and json.loads(one["config_json"])["batch_size"] == 5
        )
        return one[
            {"p": "p", "accuracy": "test_accuracy", "se": "test_accuracy_se", "n": "test_n"}[name]
        ]
    if group == "C6":
        return levelling(key, name, used, ledger)
    if group == "C10":
        cells = used.groupby(used["config_json"])[["stability_attack_mean", "test_accuracy"]].mean()
        rho = spearmanr(cells)[0]
        if name in ("low", "high"):
            value = ledger[key]["value"]
            assert -1 <= value <= rho if name == "low" else rho <= value <= 1
            return value
        return {
            "n": used["n"].iloc[0],
            "d": used["d_ambient"].iloc[0],
            "rho": rho,
            "cells": len(cells),
        }[name]
    if group == "C11":
        lengths = [
            c["distance"]
            for row in used["pictures"]
            for c in row
            if c["distance"] and c["before"] != c["after"]
        ]
        change, apart = (
            float(np.median(lengths)),
            float(np.median([q[3] for q in used["pair_distance_quantiles"]])),
        )
        return {
            "changes": len(lengths),
            "models": len(used),
            "change": change,
            "apart": apart,
            "share": change / apart,
        }[name]
    if group == "attacks":
        known = ok[ok["attack_warnings"].notna()]
        saying = {"missed … points": "missed", "no gradient at … % of the points": "no gradient"}
        if name in saying:
            assert all(
                any(w.startswith(saying[name]) for w in row) for row in used["attack_warnings"]
            )
            return sum(
                any(w.startswith(saying[name]) for w in row) for row in known["attack_warnings"]
            )
        if key.startswith("attacks:unbounded:"):
            return (ok["lip_upper_note"] == key.removeprefix("attacks:unbounded:")).sum()
        certified = ok[ok["stability_certified_violations"].notna()]
        return {
            "checked": len(known),
            "violations": 0,
            "certified": certified["measure_points"].sum(),
        }[name]
    if group == "picture":
        (one,) = used.to_dict("records")
        column = {"p": "p", "n": "n", "accuracy": "test_accuracy"}.get(name)
        return one[column] if column else one["pictures"][int(name)]["distance"]
    if group == "tokens":
        if name == "distance":
            return 8
        size = key.split(":")[-2]
        own = ok[ok["token_changes"].notna()]
        p = own["p"].min() if size == "small" else own["p"].max()
        return (
            p if name == "p" else token_kl(used[used["p"] == p], {"near": 1, "far": 8}[name]).mean()
        )
    if group == "data":
        assert not used["data_hash"].duplicated().any()
        if name.startswith("distance"):
            place = {"1 %": 0, "25 %": 2, "50 %": 3, "75 %": 4, "99 %": 6}[
                name.removeprefix("distance ")
            ]
            return float(np.median([q[place] for q in used["pair_distance_quantiles"]]))
        return {"sets": len(used), "d": used["d_ambient"].iloc[0]}.get(name) or used[name].median()
    if group == "collapse":
        design = np.column_stack(
            [np.ones(len(used)), np.log(used["p"]), -np.log(used["n"]), -np.log(used["d_ambient"])]
        )
        _, b, b_n, b_d = np.linalg.lstsq(design, np.log(used["stability_attack_mean"]), rcond=None)[
            0
        ]
        central = {"b": b, "b_n": b_n, "b_d": b_d, "b_n/b": b_n / b, "b_d/b": b_d / b}
        if name in central:
            return central[name]
        if name in ("cells", "curves"):
            return used.groupby(
                ["n", "d_ambient", "p"] if name == "cells" else ["n", "d_ambient"]
            ).ngroups
        value = ledger[key]["value"]
        if name.endswith((" low", " high")):
            ratio = central[name.rsplit(" ", 1)[0]]
            assert value <= ratio if name.endswith("low") else value >= ratio
        else:
            assert name.startswith("error ") and 1 <= value < 2
        return value
    raise AssertionError(f"no rule recomputes {key} ({rest})")


PUBLISHED = pd.read_csv(Path(reports.published.tables.__file__).parent / "madry2018.csv")


def crossing(key: str, name: str, used: pd.DataFrame, ledger: dict) -> float:
    """C4's numbers: of a crossing, or beside a published figure."""
    if name == "published p":
        return int(key.split(":")[-2])
    if name == "our n":
        return used["n"].iloc[0]
    if name == "ours":
        return ok_mean(used, "robust_linf")[int(key.split(":")[-2])]
    if "madry" in name:
        theirs = PUBLISHED["accuracy"][int(name.split("-")[-1])]
        return (
            100 * (ok_mean(used, "robust_linf")[int(key.split(":")[-2])] - theirs)
            if name.startswith("minus")
            else theirs
        )
    column, target = key.split(":")[-3], float(key.split(":")[-2])
    accuracy = ok_mean(used, column)
    simple = {
        "n": used["n"].iloc[0],
        "best": accuracy.max(),
        "largest": accuracy.index.max(),
        "seeds": used["seed"].nunique(),
    }
    if name in simple:
        return simple[name]
    high = accuracy.index[accuracy >= target].min()
    if high == accuracy.index.min():
        return {"at": high}[name]
    seeds = [crossed(ok_mean(one, column), target) for _, one in used.groupby("seed")]
    low = max(p for p in accuracy.index if p < high)
    return {
        "low": low,
        "high": high,
        "at": crossed(accuracy, target),
        "first seed": min(seeds),
        "last seed": max(seeds),
        "seeds passing": len(seeds),
    }[name]


def ok_mean(used: pd.DataFrame, column: str) -> pd.Series:
    return used.groupby("p")[column].mean().sort_index()


def crossed(accuracy: pd.Series, target: float) -> float:
    high = accuracy.index[accuracy >= target].min()
    low = max(p for p in accuracy.index if p < high)
    return float(np.exp(np.interp(target, [accuracy[low], accuracy[high]], np.log([low, high]))))


def levelling(key: str, name: str, used: pd.DataFrame, ledger: dict) -> float:
    """C6's numbers, by a general search from many starts."""
    error = 1 - ok_mean(used, "test_accuracy")
    p, e = error.index.to_numpy(float), error.to_numpy()

    def form(v, at):
        return v[0] + np.exp(v[1]) * at ** -v[2]

    starts = [(a, s, alpha) for a in (1e-3, 0.02) for s in (0.0, 4.0) for alpha in (0.3, 0.8, 1.5)]
    tight = {
        "bounds": ([0, -50, 0.05], [1, 50, 3]),
        "xtol": 1e-14,
        "ftol": 1e-14,
        "gtol": 1e-14,
        "x_scale": (1e-2, 1, 0.1),
    }
    best = min(
        (least_squares(lambda v: form(v, p) / e - 1, start, **tight) for start in starts),
        key=lambda r: r.cost,
    ).x
    central = {
        "n": used["n"].iloc[0],
        "asymptote": best[0],
        "exponent": best[2],
        "at 1e7": form(best, 1e7),
        "at": 1e7,
        "from": p[0],
        "to": p[-1],
        "cells": len(p),
        "largest miss": np.exp(np.abs(np.log(form(best, p) / e)).max()),
    }
    if name.endswith((" low", " high")):
        value, middle = ledger[key]["value"], central[name.rpartition(" ")[0]]
        assert 0 <= value <= middle + 1e-6 if name.endswith("low") else value >= middle - 1e-6
        return value
    # two searches for one minimum
    assert central[name] == pytest.approx(ledger[key]["value"], rel=2e-3)
    return ledger[key]["value"]


def held_out(rows: pd.DataFrame, y: pd.Series) -> float:
    errors = []
    rows = rows.assign(
        y=np.log(y), x=np.log(rows["p"].astype(float)), curve=rows["family"] + rows["settings_json"]
    )
    largest = rows.groupby("curve")["p"].transform("max") == rows["p"]
    kept = rows[~largest]
    b = slope(kept, kept["y"].map(np.exp))
    for curve, last in rows[largest].groupby("curve"):
        level = (kept["y"] - b * kept["x"])[kept["curve"] == curve].mean()
        errors.append(last["y"].mean() - level - b * last["x"].iloc[0])
    return float(np.exp(np.sqrt(np.mean(np.square(errors)))))


ND = ["x_law", "p_over_nd_participation", "p_over_nd_twonn", "p_over_nd_mle"]
CHARTS = {
    "law": (ND, ["stability_attack_mean"]),
    "lipschitz": (ND, ["lip_lower"]),
    "lip_lower_classes": (ND, ["lip_lower_normalised"]),
    "lip_mean": (ND, ["lip_mean"]),
    "lip_mean_classes": (ND, ["lip_mean_normalised"]),
    "lip_upper": (ND, ["lip_upper_product"]),
    "lip_upper_classes": (ND, ["lip_upper_normalised"]),
    "accuracy": (["p"], ["test_accuracy", "bits_per_byte", "last_word_accuracy"]),
    "robust_linf": (
        ["p"],
        ["robust_linf", "robust_linf_0.2", "robust_linf_0.1", "robust_linf_0.1", "robust_linf_0.1"],
    ),
    "robust_l2": (["p"], ["robust_l2"]),
    "sensitivity": (["p"], ["flip_rate"]),
    "per_token": (["params_per_token"], ["stability_attack_mean"]),
    "certified": (["stability_attack_mean"], ["stability_certified_mean"]),
    "corruption": (["p"], ["corruption_blur", "corruption_shift"]),
    "ece": (["p"], ["ece"]),
}
"""Chart → the columns that can be chosen for x and for y. The rows know ℓ∞ radii down to 0.1
only."""
OF_OTHERS = {
    "published_places",
    "published_accuracy",
    "tokens_kl",
    "tokens_accuracy",
    "tokens_noise",
}
"""Charts of published figures and of changed tokens, whose points are no single trials:
test_reference.py and test_tokens.py check them."""


def test_every_chart_is_known(rich):
    assert set(CHARTS) | OF_OTHERS == set(rich[0].scripts) - {"ledger", "said", "code"}


@pytest.mark.parametrize("chart", CHARTS)
def test_every_point_of_every_chart_is_a_row(rich, chart):
    page, rows = rich
    rows = rows[rows["status"] == "ok"]
    rows = rows.assign(**{f"robust_linf_{r}": at_radius("linf", r)(rows) for r in (0.1, 0.2)})
    said, figure = json.loads(page.scripts["said"]), json.loads(page.scripts[chart])
    views = [(x, y) for x in CHARTS[chart][0] for y in CHARTS[chart][1]]
    assert len(figure["layout"].get("meta", {"choices": [None]})["choices"]) == len(views)
    fills = (
        "below_noise" if chart in ("lipschitz", "lip_mean", "lip_upper") else "below_bayes_error"
    )
    drawn = []
    for trace in figure["data"]:
        if "customdata" not in trace:
            continue
        for k, (x, y) in enumerate(views):
            values = trace["meta"][k] if len(views) > 1 else trace
            assert k or (values["x"], values["y"]) == (trace["x"], trace["y"])
            for px, py, trial in zip(values["x"], values["y"], trace["customdata"], strict=True):
                expected = [
                    None if pd.isna(v) else v for v in (rows.loc[trial, x], rows.loc[trial, y])
                ]
                assert [px, py] == pytest.approx(expected), (trial, x, y)
        for trial in trace["customdata"]:
            assert trace["marker"]["symbol"].endswith("-open") != bool(rows.loc[trial, fills])
            assert f"--trial {trial}" in said[trial][-1]
        drawn += trace["customdata"]
    xs, ys = CHARTS[chart]
    wanted = rows[rows[xs].notna().any(axis=1) & rows[ys].notna().any(axis=1)]
    if chart.startswith("lip"):
        wanted = wanted[(wanted["outputs"] == 1) != chart.endswith("_classes")]
    assert sorted(drawn) == sorted(wanted.index) and drawn


def test_fitted_lines_have_the_fitted_slope_and_guides_the_laws(rich):
    page, _ = rich
    ledger = {n["key"]: n["value"] for n in json.loads(page.scripts["ledger"])}
    for chart, column, order in (
        ("law", "stability_attack_mean", 0.5),
        ("lipschitz", "lip_lower", -0.5),
    ):
        lines = [t for t in json.loads(page.scripts[chart])["data"] if t["mode"] == "lines"]
        for line in lines:
            guide = line["line"].get("dash") == "dot"
            expected = order if guide else ledger[f"law:{line['legendgroup']}:{column}:slope"]
            for view in line["meta"]:
                if view["x"] != [None, None]:
                    assert np.diff(np.log(view["y"]))[0] / np.diff(np.log(view["x"]))[
                        0
                    ] == pytest.approx(expected, abs=1e-6)
            assert not guide or "height chosen" in line["name"]
        assert sum(line["line"].get("dash") == "dot" for line in lines) == 1 and len(lines) > 9


def test_no_chart_but_those_of_the_law_has_a_guide(rich):
    dotted = {
        c
        for c in CHARTS
        for t in json.loads(rich[0].scripts[c])["data"]
        if t.get("line", {}).get("dash") == "dot"
    }
    assert dotted == {"law", "lipschitz", "certified"}


def test_published_points_are_open_and_stand_at_their_own_radius_alone(rich):
    (trace,) = [
        t
        for t in json.loads(rich[0].scripts["robust_linf"])["data"]
        if t["name"].startswith("published")
    ]
    assert (
        trace["x"] == PUBLISHED["parameters"].tolist()
        and trace["y"] == PUBLISHED["accuracy"].tolist()
    )
    assert [len(view["x"]) for view in trace["meta"]] == [6, 0, 0, 0, 0] and trace["marker"][
        "symbol"
    ].endswith("-open")
    assert all("Madry" in text for text in trace["text"])


def test_published_points_are_not_set_beside_other_tasks(tmp_path):
    page = Page(render(read_evidence(make_store(tmp_path / "store", [row()]))))
    assert "published" not in page.scripts["robust_linf"]


def test_every_cell_of_the_trial_table_is_a_row(rich):
    page, rows = rich
    ok = rows[rows["status"] == "ok"]
    assert {t for t, _ in page.cells} == set(ok.index)
    for (trial, column), text in page.cells.items():
        if column in ok.columns and column != "trial_id":
            value = ok.loc[trial, column]
            if isinstance(value, str):
                assert text == value
            elif pd.isna(value):
                assert text == ""
            elif isinstance(value, bool | np.bool_):
                assert text == ("yes" if value else "no")
            else:
                assert float(text.replace(",", "")) == pytest.approx(float(value), rel=1e-3)
    assert {c for _, c in page.cells} == set(TABLE_COLUMNS)


def test_sections_that_speak_of_results_hold_no_number_outside_the_ledger(rich):
    page, _ = rich
    findings = re.search(
        r"Claims, checked against these rows(.*?)What speaks against the searches",
        " ".join(" ".join(page.text).split()),
        re.S,
    )
    assert findings is not None
    left = findings[1]
    static = [part for s in (c.STATEMENT for c in CHECKED) for part in s if part] + [
        m.name for m in MEASURES
    ]
    static += [*MODELS, *(a["benchmark"] for a in ACCURACIES)]
    static += PUBLISHED["attack"].tolist() + [
        "trained against pgd 0.3",
        "±1 target",
        "10 classes, 30 % resampled",
        "256 classes, 30 % resampled",
        "10 classes",
        "90 %",
        "95 %",
        "side of 0",
        "contain 0",
        "too few for an interval (at least 6)",
    ]
    for phrase in sorted(static, key=len, reverse=True):
        left = left.replace(phrase, "")
    left = re.sub(r"\bC\d+\b|\d+ combinations of n and d are|all \d+ findings", "", left)
    assert not re.findall(r"\d+", left), re.findall(r".{30}\d+.{10}", left)


THIN = {
    "nothing": [],
    "one trial": [row()],
    "one failure": [failed()],
    "only failures": [failed(p=p) for p in (1, 2, 3)],
    "one curve above the noise": [
        row(p, stop_reason="epoch_cap", **HOLLOW) for p in (1, 2, 3, 4, 5)
    ],
    "one class family": [
        row(p, outputs=10, sigma2=None, bayes_error=0.3, noise_kind="label_resample", eta=0.3)
        for p in (10, 20, 30, 40, 50)
    ],
    "zero stability": [row(p, stability=0.0, lipschitz=0.0) for p in (10, 20, 30, 40, 50, 60)],
    "models that came trained": [pretrained_row(p) for p in (100, 200, 300)],
    "a single pass, without sensitivity": [
        language_row(w, 6400, 3.0) for w in (8, 16, 32, 64, 128)
    ],
    "text without sizes": [text_row(10), text_row(20, token_changes=[], noise_kl=None)],
    "unknown stability": [
        row(p, stability_first_order_mean=float("nan")) for p in (10, 20, 30, 40, 50, 60)
    ],
}


@pytest.mark.parametrize("rows", THIN.values(), ids=THIN.keys())
def test_thin_stores_give_a_right_page(tmp_path, rows):
    page = Page(render(read_evidence(make_store(tmp_path / "store", rows))))
    prose = " ".join(" ".join(page.text).split())
    counts = {key: float(value) for key, value, _ in page.data}
    assert counts["count:ok"] == sum(r["status"] == "ok" for r in rows)
    assert counts["count:failed"] == sum(r["status"] == "failed" for r in rows)
    assert "nan" not in prose.lower().split() and "not tested here" in prose or len(rows) > 4
    for key, text in page.scripts.items():
        if key != "code":
            json.loads(text)


def test_models_without_a_place_are_counted_and_their_kinds_get_no_verdict(rich):
    prose = " ".join(" ".join(rich[0].text).split())
    assert "finished trials are not in this chart: nobody published how many tokens" in prose
    assert ("count:unplaced", "2.0", "2") in rich[0].data
    assert "came trained, outside the law's condition: no fit, no verdict" in prose


def test_the_headline_sets_language_models_beside_the_other_families(rich):
    prose = " ".join(" ".join(rich[0].text).split())
    head = prose[
        prose.index("Below the noise, the slope") : prose.index("The law, and what was measured")
    ]
    order = [head.index(f"{family}: ") for family in ("gpt", "other", "sphere")]
    assert (
        order == sorted(order)
        and "Not judged" in head
        and "pretrained" in head[head.index("Not judged") :]
    )


def test_integers_stay_whole_in_the_table_where_some_row_has_none(rich):
    page, rows = rich
    large = rows.index[rows["n"].eq(60_000)][0]
    unknown = rows.index[rows["family"].eq("pretrained")][0]
    assert (
        page.cells[large, "n"] == "60,000"
        and (unknown, "n") not in page.cells
        and (unknown, "p") in page.cells
    )


def test_an_empty_folder_gives_a_page(tmp_path):
    assert "No trial in this store has finished" in render(read_evidence(tmp_path))


def test_trials_that_were_asked_for_and_never_ran_are_counted_as_left(tmp_path):
    from harness.store.records import SweepRecord
    from harness.store.store import Store

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


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def test_runs_are_listed_with_forecast_and_time_taken(tmp_path):
    store = Store(make_store(tmp_path / "s", power_law(-0.2)))
    for minute, inline, forecast in ((7, False, 10.0), (5, True, 0.0)):
        began = NOW.replace(minute=minute)
        store.put_run(
            RunRecord(
                sweep="made",
                began=began,
                inline=inline,
                trials=12,
                forecast_s=forecast,
                seconds=25.0,
            )
        )
    html = render(read_evidence(Path(str(store))))
    rows = re.findall(r"<tr><td>(2026-01-02 03:0.*?)</td></tr>", html)
    assert [row.split("</td><td>") for row in rows] == [
        ["2026-01-02 03:05", "made, inline", "12", "0", "25", ""],
        ["2026-01-02 03:07", "made", "12", "10", "25", "2.50"],
    ]
    assert 'id="runs"' not in render(read_evidence(make_store(tmp_path / "none", power_law(-0.2))))


def test_the_page_says_how_many_trials_were_trained_together(tmp_path):
    rows = power_law(-0.2)
    for k, made in enumerate(rows[:5]):
        made["stack_size"] = 2 + k
    text = " ".join(Page(render(read_evidence(make_store(tmp_path / "s", rows)))).text)
    assert f"5 of {len(rows)} trials, at most 6 at a time" in text


def test_whatever_a_user_can_name_is_escaped(tmp_path):
    from harness.store.records import SweepRecord
    from harness.store.store import Store

    rows = [row(p, family=HOSTILE, settings={"note": HOSTILE}) for p in (1, 2, 3, 4, 5, 6)] + [
        failed(p=9, failure_message=HOSTILE, task=HOSTILE)
    ]
    folder = make_store(tmp_path / "store", rows, sweep=False)
    Store(folder).put_sweep(
        SweepRecord(
            name="made", text=HOSTILE, task_source=HOSTILE, trials={rows[0]["trial_id"]: HOSTILE}
        )
    )
    html = render(read_evidence(folder))
    assert "<script>alert" not in html and "<img" not in html.replace(plotly_source(), "")
    assert HOSTILE not in html
    said = " ".join(json.loads(Page(html).scripts["said"])[rows[0]["trial_id"]])
    assert "<script" not in said and "&lt;script&gt;" in said


def plotly_source() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def test_the_page_asks_the_network_for_nothing(rich):
    page, _ = rich
    assert page.links == []


def test_the_report_needs_neither_torch_nor_ray(tmp_path):
    folder = make_store(tmp_path / "store", power_law(0.2))
    code = (
        "import sys; from pathlib import Path; from reports.page import write_report; "
        f"write_report(Path({str(folder)!r}), Path({str(tmp_path / 'r.html')!r})); "
        "print([m for m in ('torch', 'ray', 'transformers', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_report_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path):
    folder = make_store(tmp_path / "store", [row()])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_report(folder, tmp_path / "file" / "r.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "store"]
