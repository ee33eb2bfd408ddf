"""Forms between two ends: M4, which begins at one level and tends to another, and downstream error
against loss."""

import numpy as np

from reports.scaling.form import LEAST, Form, Parameter, Scale, columns, stacked

MEASURE = "unit of the measure"
NEWTON = 40
"""Steps that solve M4's equation at most: its slope lies between 1 and α, so they converge from
anywhere."""
EXACT = 1e-14
"""Share of t, and of 1, that a last step may move t by."""


def _m4(z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return y of (y − E)/(E₀ − y)^α = β·x^c, as E + w·σ(t)."""
    e, log_w, alpha, log_beta, c = columns(z)
    target = log_beta + c * x[0] + (alpha - 1) * log_w
    below, above, share = _sides(_solved(np.real(target), np.real(alpha)))

    # One more step of Newton's in complex parameters carries their derivatives.
    slope = share + np.real(alpha) * (1 - share)
    step = (-below + alpha * above - target) / slope
    return e + np.exp(log_w - below) * (1 - step * share)


def _m4_slopes(z: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    e, log_w, alpha, log_beta, c = columns(z)
    target = log_beta + c * x[0] + (alpha - 1) * log_w
    below, above, share = _sides(_solved(target, alpha))

    risen = np.exp(log_w - below)
    of_target = risen * share / (share + alpha * (1 - share))
    slopes = [
        np.ones_like(risen),
        risen + of_target * (alpha - 1),
        of_target * (log_w - above),
        of_target,
        of_target * x[0],
    ]
    return e + risen, stacked(slopes)


def _solved(target: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return t of log σ(t) − α·log σ(−t) = target, by Newton's method."""
    t = np.where(target < 0, target, target / alpha)
    for _ in range(NEWTON):
        below, above, share = _sides(t)
        step = (-below + alpha * above - target) / (share + alpha * (1 - share))
        t = t - step
        if (np.abs(step) <= EXACT * (1 + np.abs(t))).all():
            break
    return t


def _sides(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return −log σ(t), −log σ(−t) and σ(−t), without overflow."""
    small = np.exp(-np.abs(t))
    rest = np.log1p(small)
    share = np.where(t > 0, small, 1) / (1 + small)
    return rest + np.maximum(-t, 0), rest + np.maximum(t, 0), share


def _m4_units(z: np.ndarray, scale: Scale) -> np.ndarray:
    """Return E, E₀, α, β and c, (P, 5)."""
    e, log_w, alpha, log_beta, c = z.T
    floor = np.where(e > LEAST, e, 0) * scale.measure
    beta = np.exp(log_beta + (1 - alpha) * np.log(scale.measure) - c * scale.centre[0])
    return np.column_stack([floor, floor + np.exp(log_w) * scale.measure, alpha, beta, c])


M4 = Form(
    name="m4",
    formula="(y − E)/(E₀ − y)^α = β·x^c",
    inputs=("X",),
    parameters=(
        Parameter("E", "E", 0, np.inf, MEASURE, "the lower level"),
        Parameter("E0", "E₀", 0, np.inf, MEASURE, "the upper level, such as that of guessing"),
        Parameter("alpha", "α", 0.05, 10, "", "how slowly the upper level is left"),
        Parameter("beta", "β", 0, np.inf, "", "coefficient of the power of x"),
        Parameter("c", "c", -4, 4, "", "exponent in x where y is near E"),
    ),
    headline=("c",),
    own={"c": 4},
    measure="loss, error or accuracy",
    source="Alabdulmohsin et al. 2022, arXiv 2209.06640, estimator M4",
    value=_m4,
    slopes=_m4_slopes,
    linear=1,
    ranges=lambda x: [
        (LEAST, np.inf),
        (np.log(1e-3), np.log(1e3)),
        (0.05, 10.0),
        (-60.0, 60.0),
        (-4.0, 4.0),
    ],
    grids=lambda x: [
        np.log([0.3, 1.0, 4.0]),
        (0.3, 1.0, 3.0),
        (-3.0, 0.0, 2.0),
        (-1.0, -0.3, 0.3, 1.0),
    ],
    units=_m4_units,
)


def _downstream(z: np.ndarray, x: np.ndarray) -> np.ndarray:
    return _downstream_slopes(z, x)[0]


def _downstream_slopes(z: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    level, k, gamma = columns(z)
    fall = np.exp(-gamma * x[0])
    return level - k * fall, stacked([np.ones_like(fall), -fall, k * fall * x[0]])


def _downstream_units(z: np.ndarray, scale: Scale) -> np.ndarray:
    out = z.copy()
    out[:, :2] *= scale.measure
    out[:, 1] *= np.exp(z[:, 2] * scale.centre[0])
    return out


DOWNSTREAM = Form(
    name="downstream",
    formula="y = ε − k·exp(−γ·L)",
    inputs=("L",),
    parameters=(
        Parameter("epsilon", "ε", 0, np.inf, MEASURE, "the error of a model that learnt nothing"),
        Parameter("k", "k", -np.inf, np.inf, MEASURE, "what loss takes away, at L = 0"),
        Parameter("gamma", "γ", 0.01, 20, "1/unit of the loss", "how fast error follows loss"),
    ),
    headline=("gamma",),
    own={"gamma": 2},
    measure="error, or accuracy, on tasks",
    source="Gadre et al. 2024, arXiv 2403.08540, the law of downstream error",
    value=_downstream,
    slopes=_downstream_slopes,
    linear=2,
    ranges=lambda x: [(LEAST, np.inf), (LEAST, np.inf), (0.01, 20.0)],
    grids=lambda x: [np.geomspace(0.05, 8, 12)],
    units=_downstream_units,
    mirrored=(1,),
    rises=True,
)
