"""Place data on the plane of a picture: the ends of both axes, and pixels for values."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reports.charts.chart import Drawing, Scale

MARGIN = 0.05
"""Room beyond the outermost values, as a share of their range."""


class Axis(NamedTuple):
    """One axis: its scale, its ends in data units, and where these lie in pixels."""

    scale: Scale
    low: float
    high: float
    start: float
    stop: float

    @property
    def log(self) -> bool:
        return self.scale.log and not self.scale.names

    def pixels(self, values: npt.ArrayLike) -> np.ndarray:
        """Return where values lie, in pixels; NaN where a logarithm has no place for one."""
        at = np.asarray(values, float)
        low, high = self.low, self.high
        if self.log:
            at = np.log(np.where(at > 0, at, np.nan))
            low, high = float(np.log(low)), float(np.log(high))
        return self.start + (at - low) / (high - low) * (self.stop - self.start)

    def holds(self, values: npt.ArrayLike) -> np.ndarray:
        """Return which values lie between the ends."""
        at = np.asarray(values, float)
        return (at >= min(self.low, self.high)) & (at <= max(self.low, self.high))


def ends_of(drawing: Drawing, axis: str) -> tuple[float, float]:
    """Return the ends of the axis "x" or "y": those that its scale gives, else the values' with a
    margin. Names run from top to bottom."""
    scale: Scale = getattr(drawing, axis)
    if scale.names:
        return len(scale.names) - 0.5, -0.5
    values = _values(drawing, axis)
    values = values[np.isfinite(values)]
    if scale.log:
        values = np.log(values[values > 0])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)

    margin = MARGIN * (high - low) or (0.5 if scale.log else MARGIN * abs(high) or 1.0)
    low, high = low - margin, high + margin
    if scale.log:
        low, high = float(np.exp(low)), float(np.exp(high))
    return (
        low if scale.low is None else scale.low,
        high if scale.high is None else scale.high,
    )


def _values(drawing: Drawing, axis: str) -> np.ndarray:
    """Return every value along an axis that a picture must hold."""
    values = [getattr(own, axis) for own in (*drawing.marks, *drawing.lines)]
    for marks in drawing.marks:
        if marks.across == (axis == "x"):
            values += [marks.low, marks.high]
    for band in drawing.bands:
        values += [band.x] if axis == "x" else [band.low, band.high]
    return np.array([v for group in values for v in group], float)
