"""A power law that levels off, e = e_inf + A·p^−α, fitted to cells, with bootstrap intervals over
cells.

    fit = fit_saturation(p, error, rows)
    fit.asymptote, fit.at(1e7)

By variable projection: at a fixed α the form is linear in e_inf and A, so their best values ≥ 0 are
known exactly, and a search over α alone finds the global minimum without starting points.
"""

from typing import NamedTuple

import numpy as np

from reports.fits.slope import LEVEL, REPLICATES, SEED

MIN_SIZES = 5
"""Three parameters, and something left to miss."""
EXPONENTS = np.geomspace(0.05, 3, 60)


class Saturation(NamedTuple):
    """The form and its bootstrap draws. `largest_miss`: the largest |log(fitted / measured)| of
    a cell. `at_bound`: α lies at the end of its range, where e_inf is not identified. `widen`: the
    factor that widens intervals, see `fit_saturation`."""

    asymptote: float
    scale: float
    exponent: float
    draws: np.ndarray
    """(R, 3): asymptote, scale, exponent."""
    largest_miss: float
    at_bound: bool
    widen: float

    def at(self, p: float) -> tuple[float, float, float]:
        """Return the value at p with its interval's ends."""
        e, a, alpha = self.draws.T
        value = self.asymptote + self.scale * p**-self.exponent
        return value, *self._ends(value, e + a * p**-alpha)

    def asymptote_interval(self, level: float = LEVEL) -> tuple[float, float]:
        return self._ends(self.asymptote, self.draws[:, 0], level)

    def _ends(self, value: float, draws: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
        low = float(value + (low - value) * self.widen)
        high = float(value + (high - value) * self.widen)
        return max(low, 0.0), high


def fit_saturation(p: np.ndarray, error: np.ndarray, rows: np.ndarray) -> Saturation | None:
    """Fit cells of size p (K,), mean error (K,) > 0 and number of trials (K,). None with fewer than
    MIN_SIZES sizes.

    Objective: least squares on error relative to the measured one, (fitted − e)/e, each cell
    weighted by its trials. Interval: percentile bootstrap, cells with replacement, seeds inside;
    draws of fewer than three sizes are left out. Widened by sqrt(K/(K − 3)), because resampling few
    cells understates their spread.
    """
    if len(np.unique(p)) < MIN_SIZES:
        return None
    weights = (rows / error**2)[None, :]

    rng = np.random.default_rng(SEED)
    times = rng.multinomial(len(p), np.full(len(p), 1 / len(p)), size=REPLICATES)
    enough_sizes = np.array([len(np.unique(p[t > 0])) >= 3 for t in times])
    times = times[enough_sizes]

    ((e, a, alpha),) = _best(p, error, weights)
    miss = np.abs(np.log((e + a * p**-alpha) / error)).max()
    inside = EXPONENTS[0] * 1.001 < alpha < EXPONENTS[-1] / 1.001
    return Saturation(
        asymptote=float(e),
        scale=float(a),
        exponent=float(alpha),
        draws=_best(p, error, weights * times),
        largest_miss=float(miss),
        at_bound=not inside,
        widen=np.sqrt(len(p) / (len(p) - 3)),
    )


def fit_left_out(p: np.ndarray, error: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the fitted form's values (K,), each from the fit without that size."""
    others = 1 - np.eye(len(p))
    e, a, alpha = _best(p, error, others * rows / error**2).T
    return e + a * p**-alpha


def _best(p: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return asymptote, scale and exponent, (R, 3), of the best form for each row of weights w
    (R, K), by a grid of exponents and then twice a finer one around its best."""
    each = np.arange(len(w))
    exponents = np.broadcast_to(EXPONENTS, (len(w), len(EXPONENTS)))
    for _ in range(2):
        best = _project(p, y, w, exponents)[2].argmin(axis=1)
        last = exponents.shape[1] - 1
        low = exponents[each, np.clip(best - 1, 0, last)]
        high = exponents[each, np.clip(best + 1, 0, last)]
        exponents = np.geomspace(low, high, 41, axis=1)
    e, a, cost = _project(p, y, w, exponents)
    best = cost.argmin(axis=1)
    return np.column_stack([e[each, best], a[each, best], exponents[each, best]])


def _project(
    p: np.ndarray, y: np.ndarray, w: np.ndarray, exponents: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return e_inf ≥ 0, A ≥ 0 and the cost, each (R, G), by weighted least squares for weights w
    (R, K) at exponents (R, G)."""
    q = np.exp(-exponents[:, :, None] * np.log(p / p.min()))  # (R, G, K), 1 at the smallest size
    mass = w.sum(1)[:, None]
    sum_y = (w @ y)[:, None]
    sum_yy = (w @ y**2)[:, None]
    sum_q = (q @ w[:, :, None])[:, :, 0]
    sum_qq = (q**2 @ w[:, :, None])[:, :, 0]
    sum_qy = (q @ (w * y)[:, :, None])[:, :, 0]

    spread = np.maximum(mass * sum_qq - sum_q**2, 1e-300)
    a = (mass * sum_qy - sum_q * sum_y) / spread
    e = (sum_y - a * sum_q) / mass

    # Where one of them is negative it is 0, and the other is the best one alone.
    e = np.where(a < 0, sum_y / mass, e)
    a = np.maximum(a, 0)
    a = np.where(e < 0, sum_qy / sum_qq, a)
    e = np.maximum(e, 0)

    cost = sum_yy - 2 * (e * sum_y + a * sum_qy) + e**2 * mass + 2 * e * a * sum_q + a**2 * sum_qq
    return e, a * p.min() ** exponents, cost
