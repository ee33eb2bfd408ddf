"""Forms of parameters and tokens that are no sum of powers: Kaplan's, Farseer's, and the one for
repeated tokens."""

import numpy as np

from reports.scaling.form import LEAST, Form, Parameter, Scale, columns, stacked
from reports.scaling.power_sums import CHINCHILLA, EXPONENTS

MEASURE = "unit of the measure"
RATIO = (0.05, 20.0)
"""The range of Kaplan's α_N/α_D."""


def _kaplan(z: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Return (A·N^−κ + B/D)^α_D for z = A, B, κ = α_N/α_D, α_D."""
    return _kaplan_slopes(z, inputs)[0]


def _kaplan_slopes(z: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b, kappa, power = columns(z)
    n, d = inputs
    of_n = np.exp(-kappa * n)
    of_d = np.exp(-d)
    inside = a * of_n + b * of_d
    log_inside = np.log(inside)
    value = np.exp(power * log_inside)
    rise = power * value / inside
    slopes = [rise * of_n, rise * of_d, -rise * a * of_n * n, value * log_inside]
    return value, stacked(slopes)


def _kaplan_units(z: np.ndarray, scale: Scale) -> np.ndarray:
    """Return N_c, D_c, α_N and α_D, (P, 4), from A, B, κ = α_N/α_D and α_D."""
    a, b, kappa, power = z.T
    n, d = scale.centre
    log_measure = np.log(scale.measure) / power
    log_nc = n + (np.log(a) + log_measure) / kappa
    log_dc = d + np.log(b) + log_measure
    # A coefficient at its end stands for a term that is absent.
    absent = np.exp(np.where([a <= LEAST, b <= LEAST], -np.inf, [log_nc, log_dc]))
    return np.column_stack([*absent, kappa * power, power])


KAPLAN = Form(
    name="kaplan",
    formula="L = ((N_c/N)^(α_N/α_D) + D_c/D)^α_D",
    inputs=("N", "D"),
    parameters=(
        Parameter("Nc", "N_c", 0, np.inf, "parameters", "parameters at which N alone gives L = 1"),
        Parameter("Dc", "D_c", 0, np.inf, "tokens", "tokens at which D alone gives L = 1"),
        Parameter("alpha_N", "α_N", 0.0005, 60, "", "exponent of N"),
        Parameter("alpha_D", "α_D", *EXPONENTS, "", "exponent of D"),
    ),
    headline=("alpha_N", "alpha_D"),
    own={"alpha_D": 3},
    measure="loss or error",
    source="Kaplan et al. 2020, arXiv 2001.08361, equation 1.5",
    value=_kaplan,
    slopes=_kaplan_slopes,
    linear=2,
    ranges=lambda x: [(LEAST, np.inf), (LEAST, np.inf), RATIO, EXPONENTS],
    grids=lambda x: [np.geomspace(0.25, 10, 7), np.geomspace(0.05, 1.5, 7)],
    units=_kaplan_units,
)


TYPICAL = 23.0
"""Logarithm of the number of tokens, about 1e10, at which Farseer's second term has its level."""
LEVELS = (-60.0, 60.0)
CHANGES = (-5.0, 5.0)


def _farseer(z: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """L = exp(s₀ + s₁·g(N, γ)) + exp(t₀ + t₁·g(N, β) + q·23)·D^−exp(r₀ + r₁·g(N, α)), q = exp(r₀).

    g(N, γ) = (N^γ − 1)/γ has a limit at γ = 0, log N, where N^γ alone would be a constant. t₀ is
    the level at a typical D and at the mean N, so that it hardly depends on the exponent there.
    """
    s0, t0, r0, s1, t1, r1, gamma, beta, alpha = columns(z)
    n, d = inputs
    floor = np.exp(s0 + s1 * _box_cox(n, gamma))
    power = np.exp(r0 + r1 * _box_cox(n, alpha))
    level = t0 + t1 * _box_cox(n, beta) + np.exp(r0) * TYPICAL
    return floor + np.exp(level - power * d)


def _box_cox(n: np.ndarray, power: np.ndarray) -> np.ndarray:
    safe = np.where(np.abs(np.real(power)) < 1e-6, 1e-6, power)
    return (np.exp(safe * n) - 1) / safe


def _farseer_slopes(z: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values and derivatives without complex steps, which take nine times the exponentials
    of a form that is refitted thousands of times."""
    s0, t0, r0, s1, t1, r1, gamma, beta, alpha = columns(z)
    n, d = inputs
    of_floor, floor_bends = _box_cox_slope(n, gamma)
    of_level, level_bends = _box_cox_slope(n, beta)
    of_power, power_bends = _box_cox_slope(n, alpha)

    typical = np.exp(r0) * TYPICAL
    floor = np.exp(s0 + s1 * of_floor)
    power = np.exp(r0 + r1 * of_power)
    term = np.exp(t0 + t1 * of_level + typical - power * d)
    fall = -term * power * d
    slopes = [
        floor,
        term,
        term * typical + fall,
        floor * of_floor,
        term * of_level,
        fall * of_power,
        floor * s1 * floor_bends,
        term * t1 * level_bends,
        fall * r1 * power_bends,
    ]
    return floor + term, stacked(slopes)


def _box_cox_slope(n: np.ndarray, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return g(N, γ) and its derivative in γ, by its series where the difference would cancel."""
    safe = np.where(np.abs(power) < 1e-6, 1e-6, power)
    grown = np.exp(safe * n)
    value = (grown - 1) / safe
    small = safe * n
    series = n**2 * (1 / 2 + small * (1 / 3 + small * (1 / 8 + small * (1 / 30 + small / 144))))
    return value, np.where(np.abs(small) < 1e-2, series, (n * grown - value) / safe)


def _farseer_units(z: np.ndarray, scale: Scale) -> np.ndarray:
    """Return a₃, b₃, γ, a₂, b₂, β, a₁, b₁, α, (P, 9).

    D is not centred, so only N and the measure are turned back: with N = g·u, a·N^γ + b is
    (s₁/γ)·u^γ + s₀ − s₁/γ.
    """
    s0, t0, r0, s1, t1, r1, *powers = z.T
    t0 = t0 + np.exp(r0) * TYPICAL
    out = []
    for level, change, power in zip((s0, t0, r0), (s1, t1, r1), powers, strict=True):
        out += [change / power * np.exp(-power * scale.centre[0]), level - change / power, power]
    out[1] = out[1] + np.log(scale.measure)
    out[4] = out[4] + np.log(scale.measure)
    return np.column_stack(out)


def _farseer_parameters() -> tuple[Parameter, ...]:
    parts = (("3", "γ", "gamma", "floor"), ("2", "β", "beta", "coefficient of D"))
    parameters = []
    for number, symbol, key, what in (*parts, ("1", "α", "alpha", "exponent of D")):
        parameters += [
            Parameter(f"a{number}", f"a{number}", -np.inf, np.inf, "", f"how the {what} goes in N"),
            Parameter(f"b{number}", f"b{number}", -np.inf, np.inf, "", f"level of the {what}"),
            Parameter(key, symbol, -1, 1, "", f"exponent of N in the {what}"),
        ]
    return tuple(parameters)


FARSEER = Form(
    name="farseer",
    formula="L = exp(a₃·N^γ + b₃) + exp(a₂·N^β + b₂)·D^(−exp(a₁·N^α + b₁))",
    inputs=("N", "D"),
    parameters=_farseer_parameters(),
    headline=("gamma", "beta", "alpha"),
    measure="loss or error",
    source="Li et al. 2025, arXiv 2506.10972 (Farseer), equation 3",
    value=_farseer,
    slopes=_farseer_slopes,
    linear=6,
    ranges=lambda x: [LEVELS, LEVELS, (-6.0, 1.2), *[CHANGES] * 3, *[(-1.0, 1.0)] * 3],
    # Two values of each exponent missed the lowest minimum of four in six public tables.
    grids=lambda x: [(-0.8, -0.25, 0.3)] * 3,
    begin=(-0.3, -1.5, -1.2, -0.05, -0.05, -0.02),
    units=_farseer_units,
    apart=("D",),
)


REUSE = (0.3, 1000.0)
"""The range of R*, in epochs after the first and in multiples of the best N."""
LOG_REUSE = (float(np.log(REUSE[0])), float(np.log(REUSE[1])))


def _data_constrained(z: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    return _data_constrained_slopes(z, inputs)[0]


def _data_constrained_slopes(z: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    e, a, b, alpha, beta, log_tokens, log_size = columns(z)
    n, d, u = inputs
    of_tokens, of_reuse, _ = _worth(np.exp(d - u) - 1, np.exp(log_tokens))
    log_d = u + of_tokens

    # U_N, the N that the unique tokens can use: N_opt(U_D) of Hoffmann et al., at most N.
    best = (np.log(alpha * a / (beta * b)) + beta * u) / alpha
    limited = np.real(best) < n
    used = np.where(limited, best, n)
    of_size, of_excess, per_excess = _worth(np.exp(n - used) - 1, np.exp(log_size))
    log_n = used + of_size
    per_used = np.where(limited, 1 - per_excess * np.exp(n - used), 0)

    of_n, of_d = np.exp(-alpha * log_n), np.exp(-beta * log_d)
    by_size, by_tokens = -alpha * a * of_n, -beta * b * of_d
    by_used = by_size * per_used / alpha
    slopes = [
        np.ones_like(of_n),
        of_n + by_used / a,
        of_d - by_used / b,
        -a * of_n * log_n + by_used * (1 / alpha - best),
        -b * of_d * log_d + by_used * (u - 1 / beta),
        by_tokens * of_reuse,
        by_size * of_excess,
    ]
    return e + a * of_n + b * of_d, stacked(slopes)


def _worth(excess: np.ndarray, reuse: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the logarithm of what 1 + excess repetitions are worth in first uses, and its
    derivatives in the logarithm of `reuse` and in the excess."""
    left = np.exp(-excess / reuse)
    worth = 1 + reuse * (1 - left)
    return np.log(worth), (reuse * (1 - left) - excess * left) / worth, left / worth


def _data_constrained_units(z: np.ndarray, scale: Scale) -> np.ndarray:
    out = CHINCHILLA.units(z[:, :5], Scale(scale.centre[:2], scale.measure))
    return np.column_stack([out, np.exp(z[:, 5:])])


DATA_CONSTRAINED = Form(
    name="data-constrained",
    formula=(
        "L = E + A/N'^α + B/D'^β, D' = U + U·R_D*·(1 − exp(−(D/U − 1)/R_D*)), N' likewise from"
        " the N that U can use"
    ),
    inputs=("N", "D", "U"),
    parameters=(
        *CHINCHILLA.parameters,
        Parameter("RD", "R_D*", *REUSE, "epochs", "epochs after the first that are worth a token"),
        Parameter("RN", "R_N*", *REUSE, "", "multiples of the usable N that are worth parameters"),
    ),
    headline=("alpha", "beta", "RD"),
    own={"alpha": 3, "beta": 4, "RD": 5},
    measure="loss or error",
    source="Muennighoff et al. 2023, arXiv 2305.16264, the law for D' and N'",
    value=_data_constrained,
    slopes=_data_constrained_slopes,
    linear=3,
    ranges=lambda x: [*[(LEAST, np.inf)] * 3, EXPONENTS, EXPONENTS, LOG_REUSE, LOG_REUSE],
    grids=lambda x: [
        np.geomspace(0.1, 1.0, 5),
        np.geomspace(0.1, 1.0, 5),
        np.log([2, 15]),
        np.log([5.0]),
    ],
    units=_data_constrained_units,
)
