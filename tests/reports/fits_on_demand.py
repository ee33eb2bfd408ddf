"""The fits of a report, made as far as they are read. Most claims and sections read none, and all
fits together take half a second."""

from functools import cached_property
from typing import cast

import pandas as pd

from reports.law import Fits, fit_collapses, fit_kinds, fit_slopes


class _FitsOnDemand:
    """The fields of `Fits`, each computed at first sight."""

    def __init__(self, trials: pd.DataFrame):
        self.trials = trials

    @cached_property
    def filtered(self):
        return fit_slopes(self.trials)

    @cached_property
    def kinds(self):
        return fit_kinds(self.trials, self.filtered)

    @cached_property
    def collapses(self):
        return fit_collapses(self.trials)

    slopes = Fits.slopes
    slopes_of = Fits.slopes_of
    filtered_slopes = Fits.filtered_slopes


def fits_on_demand(trials: pd.DataFrame) -> Fits:
    """Return what `fit_all` returns, except that nothing is fitted before it is read."""
    return cast(Fits, _FitsOnDemand(trials))
