"""Which charts the page has, and on which axes."""

from functools import partial
from html import escape

import plotly.graph_objects as go

from reports.charts.drawing import Axis, add_diagonal, add_published, scatter
from reports.evidence import Evidence
from reports.law import Fits
from reports.measures import (
    FLIP_RADIUS,
    L2_RADIUS,
    LINF_RADIUS,
    LOWER,
    LOWER_CLASSES,
    MEAN,
    MEAN_CLASSES,
    SEVERITY,
    SMALLER_RADII,
    STABILITY,
    UPPER,
    UPPER_CLASSES,
)
from reports.published.tables import madry2018

P = Axis("p", "p, trainable parameters")
P_OVER_ND = [
    Axis("x_law", "p / (n·d), d ambient", label="numbers in one input (ambient)"),
    Axis(
        "p_over_nd_participation",
        "p / (n·d), d the PCA participation ratio",
        label="PCA participation ratio",
    ),
    Axis("p_over_nd_twonn", "p / (n·d), d by TwoNN", label="intrinsic dimension, TwoNN"),
    Axis(
        "p_over_nd_mle",
        "p / (n·d), d by Levina and Bickel",
        label="intrinsic dimension, Levina and Bickel",
    ),
]
P_OVER_TOKENS = Axis("params_per_token", "parameters per distinct token, p / n")
S = Axis(STABILITY, "stability S, data units (upper estimate)")
ACCURACY = [
    Axis("test_accuracy", "held-out accuracy", log=False, label="accuracy"),
    Axis("bits_per_byte", "bits per byte of held-out text", log=False, label="bits per byte"),
    Axis("last_word_accuracy", "texts whose last word is predicted", log=False, label="last words"),
]


def all_figures(evidence: Evidence, fits: Fits) -> dict[str, go.Figure]:
    """Every chart that the store has rows for, by the key under which the page places it."""
    trials = evidence.trials
    scalar, classes = trials[trials["outputs"].eq(1)], trials[trials["outputs"].gt(1)]
    slopes = {
        column: {kind: s for (kind, c), s in fits.slopes.items() if c == column}
        for column in (STABILITY, LOWER, LOWER_CLASSES)
    }
    draw = partial(scatter, evidence)
    figures = {
        "law": draw(trials, P_OVER_ND, S, fitted=slopes[STABILITY], guide=0.5),
        "lipschitz": draw(
            scalar,
            P_OVER_ND,
            Axis(LOWER, "Lipschitz constant (lower estimate)"),
            "tests_lipschitz",
            slopes[LOWER],
            -0.5,
        ),
        "lip_lower_classes": draw(
            classes,
            P_OVER_ND,
            Axis(LOWER_CLASSES, "Lipschitz / mean margin (lower estimate)"),
            fitted=slopes[LOWER_CLASSES],
        ),
        "lip_mean": draw(scalar, P_OVER_ND, Axis(MEAN, "mean Jacobian norm"), "tests_lipschitz"),
        "lip_mean_classes": draw(
            classes, P_OVER_ND, Axis(MEAN_CLASSES, "mean Jacobian norm / mean margin")
        ),
        "lip_upper": draw(
            scalar, P_OVER_ND, Axis(UPPER, "Lipschitz constant (upper bound)"), "tests_lipschitz"
        ),
        "lip_upper_classes": draw(
            classes, P_OVER_ND, Axis(UPPER_CLASSES, "Lipschitz / mean margin (upper bound)")
        ),
        "accuracy": draw(trials, P, ACCURACY),
        "robust_linf": _robust(evidence),
        "robust_l2": draw(
            trials,
            P,
            Axis(
                "robust_l2",
                f"accuracy under ℓ2 changes ≤ {L2_RADIUS:g} (upper estimate)",
                log=False,
            ),
        ),
        "sensitivity": draw(
            trials,
            P,
            Axis("flip_rate", f"labels flipped by noise of {FLIP_RADIUS:g} data units", log=False),
        ),
        "per_token": draw(trials, P_OVER_TOKENS, S),
        "certified": _certified(evidence),
        "corruption": _corruption(evidence),
        "ece": draw(trials, P, Axis("ece", "expected calibration error", log=False)),
    }
    return {key: figure for key, figure in figures.items() if figure is not None}


def _robust(evidence: Evidence) -> go.Figure | None:
    """Accuracy under ℓ∞ attack, with Madry et al.'s figures beside it where a trial is of their
    task."""
    columns = {LINF_RADIUS: "robust_linf"} | {
        radius: f"robust_linf_{radius:g}" for radius in SMALLER_RADII
    }
    axes = [
        Axis(c, f"accuracy under ℓ∞ changes ≤ {r:g} (upper estimate)", log=False, label=f"{r:g}")
        for r, c in columns.items()
    ]
    figure = scatter(evidence, evidence.trials, P, axes)
    mnist = (
        evidence.trials["task"].eq("mnist")
        & evidence.trials["outputs"].eq(10)
        & evidence.trials["robust_linf"].notna()
    )
    if figure is not None and mnist.any():
        points = madry2018()
        said = [
            f"{p.source}: capacity {p.capacity},"
            f" {p.attack}{', approximate' if p.approximate else ''}"
            for p in points
        ]
        name = "published: Madry et al.'s CNNs, trained against PGD"
        add_published(
            figure, [float(p.parameters) for p in points], [p.accuracy for p in points], said, name
        )
    return figure


def _certified(evidence: Evidence) -> go.Figure | None:
    """The certified mean distance against the one found: the truth lies between them."""
    y = Axis("stability_certified_mean", "certified distance, data units (lower bound)")
    figure = scatter(evidence, evidence.trials, Axis(STABILITY, S.title), y)
    if figure is not None:
        drawn = evidence.trials.loc[evidence.trials[y.column].gt(0), STABILITY]
        add_diagonal(
            figure, float(drawn.min()), float(drawn.max()), "equal: no point can lie above"
        )
    return figure


def _corruption(evidence: Evidence) -> go.Figure | None:
    """Accuracy under each corruption, one choice a corruption."""
    kinds = [
        c.removeprefix("corruption_")
        for c in evidence.trials.columns
        if str(c).startswith("corruption_")
    ]
    axes = [
        Axis(
            f"corruption_{k}",
            f"accuracy under {escape(k)}, severity {SEVERITY} of 5",
            log=False,
            label=k,
        )
        for k in kinds
    ]
    return scatter(evidence, evidence.trials, P, axes) if axes else None
