"""How sentences and tables write a number: 0.3478, 477.8, 2.14e4, 1.02e21."""

import numpy as np

MINUS = "\N{MINUS SIGN}"


def number(value: float, decimals: int = 2) -> str:
    """Return a number with four digits, or as a power of ten with so many `decimals`."""
    if not np.isfinite(value):
        return "∞" if value == np.inf else "–"
    if value and not 1e-3 <= abs(value) < 9999.5:
        mantissa, exponent = f"{value:.{decimals}e}".split("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
    else:
        text = f"{value:.4g}"
    return text.replace("-", MINUS)


def span(low: float, high: float) -> str:
    """Return the ends of a narrow range and their ratio."""
    return f"{number(low, 3)} to {number(high, 3)}, a factor of {high / low:.4g}"
