"""What a fit minimises: the loss of a residual, and how the residual is formed."""

import math
from typing import NamedTuple

from harness.errors import UserError, did_you_mean
from reports.fits.huber import DELTA

LOSSES = ("huber", "squared")
RESIDUALS = ("log", "linear")


class Objective(NamedTuple):
    """loss: Huber's or squares. delta: of Huber's loss, in the unit of the residual. residual: of
    logarithms, or linear in the unit of the measure."""

    loss: str = "huber"
    delta: float = DELTA
    residual: str = "log"

    def check(self) -> "Objective":
        """Return itself; raise UserError for an unknown word, and for a δ that is not finite and
        above 0."""
        for field, allowed in (("loss", LOSSES), ("residual", RESIDUALS)):
            if (word := getattr(self, field)) not in allowed:
                hint = did_you_mean(word, allowed)
                raise UserError(f"{field}: '{word}' is none of {', '.join(allowed)}{hint}")
        if not 0 < self.delta < math.inf:
            raise UserError(f"delta: {self.delta:g} is not above 0 and finite")
        return self

    def __str__(self) -> str:
        residual = "log residuals" if self.residual == "log" else "residuals"
        if self.loss == "squared":
            return f"sum of squares of {residual}"
        return f"sum of Huber's loss, δ = {self.delta:g}, of {residual}"


HUBER = Objective()
