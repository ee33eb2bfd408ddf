"""Tables with known parameters: one for every form."""

import numpy as np

BESIROGLU = (1.8172, 477.8, 2143.0, 0.3473, 0.3672)
"""E, A, B, α, β of Besiroglu et al. 2024 for Hoffmann et al.'s runs."""
ADDITION = (
    0.41388453071629455,
    2.2772722897737556,
    0.055077348404973955,
    5.662903816010331,
    612.5836172918001,
    0.059193036393742314,
)
"""a, b, c0, c1, d1, f1 of Caballero et al. 2023 for the loss of 4-digit addition."""
ADDITION_SIZES = np.array(
    [160, 192, 256, 320, 384, 448, 480, 512, 544, 576, 608, 640, 672, 736, 800, 864, 928], float
)
"""Their 17 sizes of training sets, of which they fit the first 14."""

SIZES = np.geomspace(1e5, 1e9, 24)
LOSSES = np.linspace(2, 5, 20)


def grid(side: int = 7) -> dict[str, np.ndarray]:
    """Return N and D of a square grid over three decades each."""
    n, d = np.meshgrid(np.geomspace(1e7, 1e10, side), np.geomspace(1e9, 1e12, side))
    return {"N": n.ravel(), "D": d.ravel()}


def repeated() -> dict[str, np.ndarray]:
    """Return a grid whose distinct tokens are seen once, twice, 8 and 40 times."""
    places = grid(5)
    n, u = (np.repeat(places[role], 4) for role in "ND")
    return {"N": n, "D": u * np.tile([1.0, 2.0, 8.0, 40.0], 25), "U": u}


def broken_law(x: np.ndarray, a, b, c0, *breaks) -> np.ndarray:
    y = b * x**-c0
    for c, d, f in zip(breaks[::3], breaks[1::3], breaks[2::3], strict=True):
        y = y * (1 + (x / d) ** (1 / f)) ** (-c * f)
    return a + y


def m4(x: np.ndarray, e, e0, alpha, beta, c) -> np.ndarray:
    """Solve (y − E)/(E₀ − y)^α = β·x^c by bisection."""
    low, high = np.full(len(x), e), np.full(len(x), e0)
    y = (low + high) / 2
    for _ in range(200):
        under = np.log(y - e) - alpha * np.log(e0 - y) < np.log(beta) + c * np.log(x)
        low, high = np.where(under, y, low), np.where(under, high, y)
        y = (low + high) / 2
    return y


def farseer(v: dict, a3, b3, gamma, a2, b2, beta, a1, b1, alpha) -> np.ndarray:
    n, d = v["N"], v["D"]
    exponent = np.exp(a1 * n**alpha + b1)
    return np.exp(a3 * n**gamma + b3) + np.exp(a2 * n**beta + b2) * d**-exponent


def data_constrained(v: dict, e, a, b, alpha, beta, rd, rn) -> np.ndarray:
    n, d, u = v["N"], v["D"], v["U"]
    usable = np.minimum(n, (alpha * a / (beta * b)) ** (1 / alpha) * u ** (beta / alpha))
    tokens = u * (1 + rd * (1 - np.exp(-(d / u - 1) / rd)))
    size = usable * (1 + rn * (1 - np.exp(-(n / usable - 1) / rn)))
    return e + a * size**-alpha + b * tokens**-beta


def kaplan(v: dict, nc, dc, alpha_n, alpha_d) -> np.ndarray:
    return ((nc / v["N"]) ** (alpha_n / alpha_d) + dc / v["D"]) ** alpha_d


PLANTED = {
    "power": ({"X": SIZES}, (0.01, 0.2), lambda v, a, b: a * v["X"] ** b),
    "saturating": ({"X": SIZES}, (1.5, 300, 0.4), lambda v, e, a, p: e + a * v["X"] ** -p),
    "logarithm": ({"X": SIZES}, (0.1, 0.02), lambda v, a, b: a + b * np.log(v["X"])),
    "levelling": (
        {"X": SIZES},
        (0.3, 0.3, 1e7),
        lambda v, a, b, k: a * (np.minimum(v["X"], k) / k) ** b,
    ),
    "broken": (
        {"X": SIZES},
        (0.3, 0.3, 0.05, 1e7),
        lambda v, a, b, c, k: a * (v["X"] / k) ** np.where(v["X"] < k, b, c),
    ),
    "bnsl": ({"X": ADDITION_SIZES}, ADDITION, lambda v, *p: broken_law(v["X"], *p)),
    "bnsl-2": (
        {"X": SIZES},
        (0.2, 5, 0.05, 0.5, 1e6, 0.3, -0.3, 1e8, 0.2),
        lambda v, *p: broken_law(v["X"], *p),
    ),
    "m4": ({"X": SIZES}, (0.1, 0.9, 1.5, 300, -0.4), lambda v, *p: m4(v["X"], *p)),
    "downstream": (
        {"L": LOSSES},
        (0.8, 1.5, 0.7),
        lambda v, e, k, g: e - k * np.exp(-g * v["L"]),
    ),
    "chinchilla": (
        grid(),
        BESIROGLU,
        lambda v, e, a, b, p, q: e + a * v["N"] ** -p + b * v["D"] ** -q,
    ),
    "chinchilla-tied": (
        grid(),
        (1.8, 400, 1500, 0.34),
        lambda v, e, a, b, p: e + a * v["N"] ** -p + b * v["D"] ** -p,
    ),
    "kaplan": (grid(), (8.8e13, 5.4e13, 0.076, 0.095), kaplan),
    "farseer": (
        grid(),
        (-0.021, -0.091, 0.169, 88.01, -5.287, -0.1, -0.124, -0.424, 0.123),
        farseer,
    ),
    "two-variable": (
        grid(),
        (1.79, -0.713, 0.307),
        lambda v, a, p, q: a * v["N"] ** p * v["D"] ** q,
    ),
    "data-constrained": (repeated(), (1.87, 521, 1488, 0.353, 0.353, 15.4, 5.3), data_constrained),
}
"""Form → inputs, parameters, and the formula as its paper writes it, in the paper's units."""


def planted(name: str) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Return inputs, the measure without noise, and the parameters."""
    inputs, truth, formula = PLANTED[name]
    return inputs, formula(inputs, *truth), np.array(truth, float)
