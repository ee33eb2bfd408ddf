"""Name the kind of a trial: family, target, noise level, stop rule, adversary and search. Trials
of a kind share one slope.

named = with_kinds(ok_rows)
"""

import json
from typing import Any

import numpy as np
import pandas as pd

NOT_TRAINED = "not_trained"
"""The stop reason of a model that was trained elsewhere."""
OF_KIND = (
    "stop_reason",
    "stop_rule",
    "family",
    "outputs",
    "config_json",
    "adversary",
    "epsilon",
    "noise_kind",
    "eta",
    "sigma2",
    "frontier",
)
"""The columns that a kind's name is made of."""
STOP_RULES = {"noise": "", "interpolate": ", interpolated", "epochs": ", fixed epochs"}
"""Stop rule → its words in the name of a kind."""


def with_kinds(ok: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with adversary, frontier, problem and kind.

    adversary: what the model was trained against, or "none". frontier: how the most robust fit was
    searched for, None for plain training. problem: family, target and noise level. Seeds share all
    of these, so each is made once for a configuration and not for every row.
    """
    t = ok.copy()
    codes, texts = pd.factorize(t["config_json"])
    configs = [json.loads(text) for text in texts]
    t["adversary"] = _repeated([_adversary(config) for config in configs], codes, t.index)
    t["frontier"] = _repeated([_search(config) for config in configs], codes, t.index)

    alike = t.groupby(list(OF_KIND), dropna=False, sort=False).ngroup().to_numpy()
    _, first = np.unique(alike, return_index=True)
    examples = t[list(OF_KIND)].iloc[first].to_dict("records")
    rows = [{str(name): value for name, value in row.items()} for row in examples]
    t["problem"] = _repeated([_problem(row) for row in rows], alike, t.index)
    t["kind"] = _repeated([_kind(row) for row in rows], alike, t.index)
    return t


def _repeated(values: list[str | None], codes: np.ndarray, index: pd.Index) -> pd.Series:
    """Return the value of each row's code, as one Python object that rows share."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return pd.Series(array[codes], index=index, dtype=object)


def _search(config: dict[str, Any]) -> str | None:
    """Return how a configuration searches for the most robust fit; None for plain training."""
    way = config.get("frontier")
    return None if way is None else str(way)


def _adversary(config: dict[str, Any]) -> str:
    """Return what a configuration trains against: none, fgsm, pgd, ℓ2 fgsm or ℓ2 pgd."""
    in_l2 = "ℓ2 " if config.get("adversary_norm") == "l2" else ""
    return in_l2 + str(config.get("adversary") or "none")


def _kind(row: dict[str, Any]) -> str:
    """Return the name of the row's kind."""
    # Vocabularies differ between the sizes of one published family, but only by padding.
    if row["stop_reason"] == NOT_TRAINED:
        return f"{row['family']}, as published"
    if row["frontier"] is not None:
        return f"{_problem(row)}, most robust fit by {row['frontier']}"
    stop = STOP_RULES[row["stop_rule"]]
    radius = json.loads(row["config_json"]).get("adversary_radius")
    against = "" if row["adversary"] == "none" else f", trained against {row['adversary']} {radius}"
    return f"{_problem(row)}{stop}{against}"


def _problem(row: dict[str, Any]) -> str:
    """Return the row's family, target and noise level: what is to be fitted."""
    target = "±1 target" if row["outputs"] == 1 else f"{row['outputs']} classes"
    several = json.loads(row["config_json"]).get("targets")
    if several:
        target += f", {several} targets a window"
    return f"{row['family']}, {target}, {_noise(row)}"


def _noise(row: dict[str, Any]) -> str:
    if not row["epsilon"] > 0:
        return "no injected noise"
    share_changed = {
        "label_flip": "flipped",
        "label_resample": "resampled",
        "target_resample": "resampled",
    }
    if row["noise_kind"] in share_changed:
        return f"{100 * row['eta']:g} % {share_changed[row['noise_kind']]}"
    return "pure noise" if row["sigma2"] == 1 else f"σ² {row['sigma2']:g}"
