"""Fill the columns `stability_*`: distances to the decision boundary, from `boundary.py`."""

from collections.abc import Sequence

from torch import Tensor

from harness.measures.at_points import Searched
from harness.measures.boundary import stability
from harness.measures.certified_bound import Bound, certified_radii
from harness.measures.gradients import linear_distance, slopes
from harness.measures.points import Probe
from harness.measures.robust_accuracy import violations
from harness.store.schema import Columns

STABILITY_CAP = 1.0
"""Distance in data units at which stability is capped. Two random points of the data lie about √2
apart, so a change of one unit makes another input."""

DISAGREE = 1.1
"""Ratio from which on the distance that the search's first run reached counts as another than that
of the nearest change found."""


def stability_columns(probe: Probe, at: Searched, bounds: Sequence[Bound]) -> list[Columns]:
    """Return each model's class stability: first order, by attack, and certified."""
    margins = at.margins
    first_order = probe.each(linear_distance(margins, slopes(margins)))
    attack = probe.each(at.distance)
    disagreement = _disagreement(probe, at)

    columns: list[Columns] = []
    for m, (draw, bound) in enumerate(zip(probe.draws, bounds, strict=True)):
        by_gradient = stability(first_order[m], STABILITY_CAP, leave_out=True)
        by_attack = stability(attack[m], STABILITY_CAP, leave_out=False)
        certified = certified_radii(margins, bound, probe.points_of(m), probe.classes)
        columns.append(
            {
                "measure_points": len(draw.x),
                "stability_cap": STABILITY_CAP,
                "stability_first_order_mean": by_gradient.mean,
                "stability_first_order_median": by_gradient.median,
                "stability_first_order_censored": by_gradient.censored,
                "stability_attack_mean": by_attack.mean,
                "stability_attack_se": by_attack.se,
                "stability_attack_median": by_attack.median,
                "stability_attack_censored": by_attack.censored,
                "stability_attack_mean_l2": by_attack.mean * draw.unit,
                "stability_attack_disagreement": disagreement[m],
                **_certified_columns(certified, attack[m]),
            }
        )
    return columns


def _disagreement(probe: Probe, at: Searched) -> list[float]:
    """Return each model's share of points where the search's first run ended far beyond the nearest
    change found."""
    first = at.nearest.first.nan_to_num(posinf=1e9)
    beyond = first > DISAGREE * at.distance.nan_to_num(posinf=1e9)
    return probe.each(beyond.float()).mean(1).tolist()


def _certified_columns(certified: Tensor | None, distance: Tensor) -> Columns:
    """Compare one model's certified radii (B,) with the distances (B,) that the attack found."""
    if certified is None:
        return {"stability_certified_mean": None, "stability_certified_violations": None}
    return {
        "stability_certified_mean": float(certified.clamp(max=STABILITY_CAP).mean()),
        "stability_certified_violations": violations(certified, distance),
    }
