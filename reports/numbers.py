"""Numbers that know where they come from, and sentences built around them.

Every number in the report's prose is a `Number`: its value, how it was computed, and the trials
behind it. The page renders it as `<data value=… data-key=…>` and lists key, computation and trials
in a machine-readable ledger, so a reader, or a test, can trace it to rows of the store.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape


@dataclass(frozen=True)
class Number:
    """A value with its origin. `key` is unique in a report, `how` names columns and filter, and
    `trials` are the ids of the rows used."""

    key: str
    value: float
    how: str
    trials: tuple[str, ...] = ()
    style: str = "sig3"

    def __str__(self) -> str:
        return _STYLES[self.style](self.value)

    def as_json(self) -> dict[str, Any]:
        """Return key, value and computation; a value that is not finite is null."""
        value = self.value if math.isfinite(self.value) else None
        return {"key": self.key, "value": value, "how": self.how}

    def __html__(self) -> Markup:
        title = f"{self.how}; {len(self.trials)} trials" if self.trials else self.how
        return Markup('<data value="{}" data-key="{}" title="{}">{}</data>').format(
            repr(float(self.value)), self.key, title, str(self)
        )


def _sig3(x: float) -> str:
    if not math.isfinite(x):
        return "none"
    if x and not 1e-3 <= abs(x) < 1e5:
        mantissa, exponent = f"{x:.1e}".split("e")
        return f"{mantissa}·10{_superscript(int(exponent))}"
    return f"{x:.3g}" if abs(x) < 1000 else f"{x:,.0f}"


def signed(x: float, decimals: int = 2) -> str:
    """Return a number with its sign. What rounds to 0 has none."""
    if not math.isfinite(x):
        return "none"
    text = f"{x:+.{decimals}f}"
    return text if text.strip("+-0.") else text[1:]


def _factor(x: float) -> str:
    """Return a ratio to three digits; close to 1, the first digit that tells it from 1, down to a
    thousandth."""
    near = math.isfinite(x) and abs(x - 1) < 0.005
    return f"{x:.3f}" if near else _sig3(x)


def _superscript(n: int) -> str:
    return str(n).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _growth(x: float) -> str:
    """Return a relative change in percent, without its sign of percent."""
    if not math.isfinite(x):
        return "none"
    percent = 100 * x
    text = f"{percent:.1f}" if abs(percent) < 9.95 else f"{percent:,.0f}"
    return text.lstrip("-") if not text.strip("-0.") else text.replace("-", "−")


def _size(x: float) -> str:
    """Return a count as people say it: 950, 12k, 3.4M."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if x >= 0.9995 * unit:
            return f"{float(f'{x / unit:.3g}'):g}{name}"
    return f"{x:.3g}"


_STYLES: dict[str, Any] = {
    "sig3": _sig3,
    "signed": signed,
    "factor": _factor,
    "int": lambda x: f"{int(x):,}" if math.isfinite(x) else "none",
    "percent": lambda x: f"{100 * x:.1f} %",
    "percent2": lambda x: f"{100 * x:.2f} %",
    "points": lambda x: signed(x, 1),
    "growth": lambda x: f"{_growth(x)} %",
    "growth end": _growth,
    "size": _size,
}


@dataclass(frozen=True)
class Sentence:
    """A template with `{name}` places, each filled by a Number or by text (escaped)."""

    template: str
    parts: dict[str, Any] = field(default_factory=dict)

    def __html__(self) -> Markup:
        # Splitting by a group gives text and names in turn.
        pieces = re.split(r"\{(\w+)\}", self.template)
        filled = [self.parts[piece] if i % 2 else piece for i, piece in enumerate(pieces)]
        return Markup("").join(escape(piece) for piece in filled)

    def __str__(self) -> str:
        return self.template.format(**self.parts)

    def numbers(self) -> list[Number]:
        """Return the numbers in the sentence, in order."""
        return [p for p in self.parts.values() if isinstance(p, Number)]
