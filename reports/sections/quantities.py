"""What the first screen can say of size: the slopes of several measures, and of stability against
parameters counted without embeddings.

    for own in measured(evidence, fits): own.quantity.label, own.slopes["gpt, 256 classes, …"]
"""

from typing import NamedTuple

import pandas as pd

from reports.evidence import Evidence, fit_rows
from reports.fits.slope import Slope, fit_together
from reports.law import GROWS, OF_FIT, Fits
from reports.measures import LOWER, RADIUS, STABILITY
from reports.sections.ladder.convention import sizes_without_embeddings
from reports.verdicts import ORDER


class Quantity(NamedTuple):
    """A measure against size. value: in the page's address. label: on its button. noun: in a
    sentence. column: of the rows. robust: +1 where a larger value is more robust, else -1."""

    value: str
    label: str
    noun: str
    column: str
    robust: int = 1

    @property
    def order(self) -> float | None:
        """Return the power of p with which the law's bound on the measure goes; None where no law
        bounds it."""
        return ORDER * GROWS[self.column] if self.column in GROWS else None


MAIN = Quantity("stability", "stability", "the stability", STABILITY)
WITHOUT_EMBEDDINGS = Quantity(
    "no-embeddings", "stability, without embeddings", "the stability", STABILITY
)
QUANTITIES = (
    MAIN,
    Quantity("radius", "training radius", "the training radius", RADIUS),
    Quantity(
        "lipschitz", "Lipschitz constant", "the Lipschitz constant (lower estimate)", LOWER, -1
    ),
    Quantity(
        "attack", "accuracy under attack", "the accuracy under ℓ2 attack", "robust_area_l2"
    ),
    Quantity(
        "noise", "answers that noise changes", "the share of answers that noise changes",
        "flip_rate", -1,
    ),
)  # fmt: skip


class Measured(NamedTuple):
    """A quantity, and its slope in each judged kind that has one. counted: kind → p of the rows of
    its fit, where the quantity counts p without embeddings; empty elsewhere."""

    quantity: Quantity
    slopes: dict[str, Slope]
    counted: dict[str, pd.Series] = {}


def measured(evidence: Evidence, fits: Fits) -> list[Measured]:
    """Return the quantities that some judged kind has a slope of, stability first."""
    judged = [fit.kind for fit in fits.kinds if fit.judged]
    found = []
    for quantity in QUANTITIES:
        slopes = fits.slopes_of(quantity.column)
        own = {kind: slopes[kind] for kind in judged if kind in slopes}
        found.append(Measured(quantity, own))
    fewer, counted = _without_embeddings(evidence, fits)
    own = {kind: fewer[kind] for kind in judged if kind in fewer}
    found.insert(1, Measured(WITHOUT_EMBEDDINGS, own, counted))

    known = [
        own._replace(slopes={kind: s for kind, s in own.slopes.items() if not s.failure})
        for own in found
    ]
    return [own for own in known if own.slopes]


def _without_embeddings(
    evidence: Evidence, fits: Fits
) -> tuple[dict[str, Slope], dict[str, pd.Series]]:
    """Return the stability slopes of the kinds whose models have embeddings, with p counted without
    these, and that p of their rows. The spread that kinds share stays that of all kinds."""
    # of 200 columns, which every kind would copy
    trials = evidence.trials[[*OF_FIT, STABILITY, "params_by_group"]]
    rows, counted = {}, {}
    for fit in fits.kinds:
        rows[fit.kind] = fit_rows(trials, fit.kind)
        fewer = _fewer_parameters(rows[fit.kind])
        if fewer is not None:
            rows[fit.kind] = rows[fit.kind].assign(p=fewer)
            counted[fit.kind] = fewer
    if not counted:
        return {}, {}
    slopes = fit_together(rows, STABILITY)
    return {kind: slopes[kind] for kind in counted}, counted


def _fewer_parameters(rows: pd.DataFrame) -> pd.Series | None:
    """Return p without embeddings; None where the models have none."""
    if rows.empty or sizes_without_embeddings(rows.iloc[:1]) is None:
        return None
    sizes = rows.drop_duplicates("p")
    fewer = sizes_without_embeddings(sizes)
    if fewer is None:
        return None
    return rows["p"].map(dict(zip(sizes["p"], fewer, strict=True)))
