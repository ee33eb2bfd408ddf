"""Make a store that has rows for every section of the page, and compute by other code the columns
that the report derives."""

import math
from typing import Any

import numpy as np
import pandas as pd

from tests.reports.language_rows import pretrained_row, text_row
from tests.reports.stores import failed, of_schema_2, power_law, row

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
    """Return the row with the name of a picture's file, which does not exist, and what the picture
    shows."""
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


SPHERE = power_law(0.3, 0.3, 0.1, spread=0.05, ns=(100, 200, 400), ds=(8, 16, 32))

CLASSES = power_law(
    0.1, spread=0.05, changes={"family": "other", "isoperimetry": "assumed", **RESAMPLED}
)
for i, class_row in enumerate(CLASSES):
    class_row["test_accuracy"] = 0.5 + 0.02 * i + 0.001 * i**2
    class_row["data_hash"] = f"{i % 3}"

ONSET = [
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

FEW_DIGITS = [
    row(p, 4000, 784, test_accuracy=accuracy, **INTERPOLATED)
    for p, accuracy in ((1000, 0.85), (4000, 0.93), (9000, 0.96))
]

ALL_DIGITS = [
    pictured(
        row(
            p,
            60_000,
            784,
            seed,
            test_accuracy=1 - 0.01 - 30 * p**-0.8 - 0.001 * seed,
            **INTERPOLATED,
        )
    )
    for p in (800, 3000, 10_000, 30_000, 100_000, 300_000)
    for seed in (0, 1)
]

RECIPE = row(
    690_000,
    60_000,
    784,
    epochs=15,
    settings={"batch_size": 5},
    test_accuracy=0.989,
    test_accuracy_se=0.001,
    **EPOCHS,
)

TRAINED_AGAINST_PGD = [
    row(
        p,
        60_000,
        784,
        settings={"adversary": "pgd", "adversary_radius": 0.3},
        robust_accuracy_linf=[0.97, 0.95, accuracy],
        **EPOCHS,
    )
    for p, accuracy in ((52_506, 0.8), (206_954, 0.91), (821_706, 0.93), (3_274_634, 0.96))
]

WITH_WARNINGS = [
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

OLDER = of_schema_2([row(p, 60, 6, family="older") for p in (9, 10, 20, 40, 80)])

TEXT = [
    text_row(p, seed, p**-0.2 * (1 + 0.01 * seed))
    for p in (300, 600, 1200, 2400, 4800, 9600)
    for seed in (0, 1)
]

RICH = [
    *SPHERE,
    *CLASSES,
    *ONSET,
    *FEW_DIGITS,
    *ALL_DIGITS,
    RECIPE,
    *TRAINED_AGAINST_PGD,
    *WITH_WARNINGS,
    *OLDER,
    *TEXT,
    pretrained_row(500),
    pretrained_row(900),
    failed(p=7),
]


def at_radius(name: str, radius: float):
    return lambda t: pd.Series(
        [
            np.nan if r is None else float(dict(zip(np.round(r, 9), v, strict=True))[radius])
            for r, v in zip(t[f"robust_{name}_radii"], t[f"robust_accuracy_{name}"], strict=True)
        ],
        index=t.index,
    )


def area(name: str):
    """Return a function that sums trapezoids by hand, over the range of the radii."""

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
    """Return the KL after the token at that distance was replaced."""
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
