"""Instruments: each one file, each a function beside its source; `measure` puts them together into
columns.

(measured,) = measure(Alone(model), [data], [Seeds(0)])
"""

from harness.measures.columns import measure, on_device
from harness.measures.measured import Measured
from harness.measures.stability_columns import STABILITY_CAP

__all__ = ["STABILITY_CAP", "Measured", "measure", "on_device"]
