"""Seconds that a search for the most robust fit takes, by those that the store's own took.

    seconds = SearchSeconds.of(rows)
    seconds.of_one(p=2000, n=1024, d=64)

ln(seconds) is linear in ln p, ln n and ln d, by least squares over the finished searches of one
recipe. Their machine is that of the rows, and a search that shared it took longer.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd


class SearchSeconds(NamedTuple):
    """centre (3,) of ln p, ln n and ln d; powers (3,), 0 for a size that does not vary; mean: the
    seconds expected at the centre."""

    centre: np.ndarray
    powers: np.ndarray
    mean: float

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "SearchSeconds":
        """Fit the searches of some rows. rows: with p, n, d_ambient and wall_s."""
        sizes = np.log(rows[["p", "n", "d_ambient"]].to_numpy(float))
        y = np.log(rows["wall_s"].to_numpy(float))
        centre = sizes.mean(0)
        powers = np.linalg.lstsq(sizes - centre, y - y.mean())[0]
        # The mean of a logarithm's residuals, not the logarithm's mean: sums are of seconds.
        residual = y - y.mean() - (sizes - centre) @ powers
        return cls(centre, powers, float(np.exp(y.mean()) * np.exp(residual).mean()))

    def of_one(self, p: float, n: float, d: float) -> float:
        """Return the seconds expected of one search."""
        return self.mean * float(np.exp((np.log([p, n, d]) - self.centre) @ self.powers))
