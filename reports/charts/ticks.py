"""Choose the ticks of an axis and write them as numbers that people read: 1k, 1M, 10⁻³."""

import math

from matplotlib.ticker import MaxNLocator

Tick = tuple[float, str]
"""A place on the axis and its label."""
MOST = 10
"""Ticks of a logarithmic axis; with more, steps become coarser."""
UNITS = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


def ticks(low: float, high: float, log: bool, share: bool = False) -> list[Tick]:
    """Return the ticks between the ends of an axis: 1, 2 and 5 of each decade while there is room,
    then powers of ten. share: labels in per cent."""
    places = _log_places(low, high) if log else _linear_places(low, high)
    written = [f"{100 * place:.4g} %" if share else readable(place) for place in places]
    return list(zip(places, written, strict=True))


def _linear_places(low: float, high: float) -> list[float]:
    places = [float(place) for place in MaxNLocator(6).tick_values(low, high)]
    return [0.0 if abs(place) < 1e-12 else place for place in places if low <= place <= high]


def _log_places(low: float, high: float) -> list[float]:
    first = math.floor(math.log10(low))
    last = math.ceil(math.log10(high))

    for steps in ((1, 2, 5), (1,)):
        places = [float(f"{s}e{k}") for k in range(first, last + 1) for s in steps]
        shown = [place for place in places if low <= place <= high]
        if len(shown) <= MOST:
            # An axis shorter than a decade may hold none of 1, 2 and 5.
            return shown if len(shown) >= 2 else _linear_places(low, high)

    every = math.ceil(len(shown) / MOST)
    return [place for place in shown if round(math.log10(place)) % every == 0]


def readable(value: float) -> str:
    """Return a number of an axis as text.

    >>> readable(50000), readable(0.001), readable(3e15)
    ('50k', '10⁻³', '3·10¹⁵')
    """
    size = abs(value)
    mantissa, exponent = f"{value:.3e}".split("e")
    power = "10" + exponent_of(int(exponent))
    leading = f"{float(mantissa):g}"
    if size and leading == "1" and (size < 0.01 or size >= 1e12):
        return power
    if size and (size < 1e-3 or size >= 1e12):
        return f"{leading}·{power}"
    for unit, name in UNITS:
        if size >= unit:
            return f"{value / unit:.4g}{name}"
    return f"{value:.4g}"


def exponent_of(n: int) -> str:
    """Return a whole number in raised digits."""
    return str(n).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
