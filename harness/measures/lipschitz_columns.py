"""Fill the columns `lip_*`: lower estimates, means and upper bounds of Lipschitz constants, from
`gradients.py`, `jacobian.py`, `lipschitz_lower.py` and `lipschitz_upper.py`."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.measures.at_points import AtPoints
from harness.measures.certified_bound import Bound
from harness.measures.gradients import gradient_norms
from harness.measures.jacobian import LocalNorms, Singular, local_norms
from harness.measures.lipschitz_ascent import POINT_SETS, largest_slopes
from harness.measures.lipschitz_lower import Lower
from harness.measures.lipschitz_upper import log_probability_factor
from harness.measures.points import Probe
from harness.store.schema import Columns


def lipschitz_columns(probe: Probe, at: AtPoints, bounds: Sequence[Bound]) -> list[Columns]:
    """Return each model's slopes: of gradients at points, of pairs of points, and certified."""
    local = _norms_at_sets(probe, at.local.norms)
    outputs = {name: norms.outputs for name, norms in local.items()}
    logprobs = {name: norms.logprobs for name, norms in local.items() if norms.logprobs}

    tangential, ambient = (
        probe.each(norms) for norms in gradient_norms(at.local.margins, probe.x, probe.on_sphere)
    )
    residual = _largest_residuals(probe, local)
    slopes = largest_slopes(probe, probe.row_space.model, outputs)
    margin = probe.each(at.local.margins.values.amin(dim=1)).mean(1).tolist()

    columns: list[Columns] = [
        {
            "gradient_of": "f" if probe.classes is None else "margin",
            **_gradient_columns(tangential[m], ambient[m]),
            **_jacobian_columns(probe, m, outputs),
            "lip_lower_residual": residual[m],
            **_pair_columns(slopes[m], probe.draws[m].centre),
            "lip_lower_normalised": _over(slopes[m].largest, margin[m]),
            **_mean_columns(probe.each(outputs["held_out"].norm)[m], margin[m]),
            **_upper_columns(bound, margin[m]),
            "margin_mean": margin[m],
        }
        for m, bound in enumerate(bounds)
    ]
    if logprobs and probe.classes:
        log_columns = _log_probability_columns(probe, logprobs, probe.classes, bounds, margin)
        for m, of_logprobs in enumerate(log_columns):
            columns[m] |= of_logprobs
    return columns


def _norms_at_sets(probe: Probe, held_out: LocalNorms) -> dict[str, LocalNorms]:
    """Return the norms of the Jacobians at each of POINT_SETS; those at the held-out points are
    known."""
    norms = {"held_out": held_out}
    for name, attribute in POINT_SETS.items():
        if name not in norms:
            norms[name] = local_norms(
                probe.row_space.model,
                probe.coordinates(attribute),
                probe.classes,
                probe.on_sphere,
            )
    return norms


def _largest_residuals(probe: Probe, local: dict[str, LocalNorms]) -> list[float]:
    """Return each model's largest relative residual of a singular pair, over all points."""
    singulars = [singular for norms in local.values() for singular in norms if singular is not None]
    residuals = [probe.each(singular.residual).amax(1) for singular in singulars]
    return torch.stack(residuals).amax(0).tolist()


def _gradient_columns(tangential: Tensor, ambient: Tensor) -> Columns:
    """Return the columns of one model's gradient norms (B,), along the sphere and in all of R^d."""
    return {
        "lip_lower_grad": float(tangential.max()),
        "lip_mean_grad": float(tangential.mean()),
        "lip_lower_grad_ambient": float(ambient.max()),
        "lip_mean_grad_ambient": float(ambient.mean()),
    }


def _jacobian_columns(probe: Probe, m: int, outputs: dict[str, Singular]) -> Columns:
    """Return the largest norms of model m's Jacobians, over all sets of points and over each
    set."""
    largest = {
        name: float(probe.each(singular.norm)[m].max()) for name, singular in outputs.items()
    }
    return {
        "lip_lower_jacobian": max(largest.values()),
        **{f"lip_lower_jacobian_{name}": norm for name, norm in largest.items()},
    }


def _pair_columns(slope: Lower, centre: Tensor) -> Columns:
    """Return the columns of one model's steepest pair of inputs. `centre` is the mean training
    input."""
    return {
        "lip_lower_pairs": slope.largest,
        "lip_lower_pairs_distance": slope.distance,
        "lip_lower_pairs_agreement": slope.agreement,
        "lip_lower_pairs_off_centre": float((slope.at - centre).norm()),
    }


def _mean_columns(norm: Tensor, margin: float) -> Columns:
    """Return the mean of one model's Jacobian norms (B,) at the held-out points."""
    mean = float(norm.mean())
    se = float(norm.std()) / math.sqrt(len(norm)) if len(norm) > 1 else math.nan
    return {
        "lip_mean_jacobian": mean,
        "lip_mean_jacobian_se": se,
        "lip_mean_normalised": _over(mean, margin),
    }


def _upper_columns(bound: Bound, margin: float) -> Columns:
    return {
        "lip_upper_product": bound.lipschitz,
        "lip_upper_normalised": _over(bound.lipschitz, margin),
        "lip_upper_layerwise": bound.layerwise,
        "lip_upper_residual": bound.residual,
        "lip_upper_note": bound.note,
    }


def _log_probability_columns(
    probe: Probe,
    logprobs: dict[str, Singular],
    classes: int,
    bounds: Sequence[Bound],
    margin: Sequence[float],
) -> list[Columns]:
    """Return the same figures for log-probabilities, for models of classes."""

    def log_probabilities(u: Tensor) -> Tensor:
        return F.log_softmax(probe.row_space.model(u), 1)

    slopes = largest_slopes(probe, log_probabilities, logprobs)
    columns: list[Columns] = []
    for m, bound in enumerate(bounds):
        norms = {name: probe.each(singular.norm)[m] for name, singular in logprobs.items()}
        mean = float(norms["held_out"].mean())
        upper = (
            None if bound.lipschitz is None else log_probability_factor(classes) * bound.lipschitz
        )
        columns.append(
            {
                "lip_lower_logprob_jacobian": max(float(norm.max()) for norm in norms.values()),
                "lip_lower_logprob_pairs": slopes[m].largest,
                "lip_lower_logprob_normalised": _over(slopes[m].largest, margin[m]),
                "lip_mean_logprob_jacobian": mean,
                "lip_mean_logprob_normalised": _over(mean, margin[m]),
                "lip_upper_logprob_product": upper,
                "lip_upper_logprob_normalised": _over(upper, margin[m]),
            }
        )
    return columns


def _over(slope: float | None, margin: float) -> float | None:
    """Return the slope over the mean margin; None without a slope or a positive margin."""
    return slope / margin if slope is not None and margin > 0 else None
