"""Instruments: each one file, each a function beside its source; `measure` puts them together into columns.

(columns,) = measure(Alone(model), [data], [Seeds(0)])
"""

from harness.measures.columns import MEASURE_POINTS, measure, on_device
from harness.measures.sensitivity import STABILITY_CAP, Columns

__all__ = ["MEASURE_POINTS", "STABILITY_CAP", "Columns", "measure", "on_device"]
