"""The sensitivity columns of some models at their points, each from the instrument that it
names."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.measures.boundary import Nearest, changing, l2_distance, nearest_change, stability
from harness.measures.corruption import corruption_response, corruption_rows
from harness.measures.gradients import Margins, gradient_norms, linear_distance, margins_of, slopes
from harness.measures.gradients import margins as margins_at
from harness.measures.input_noise import RADII, NoiseResponse, noise_response
from harness.measures.jacobian import (
    WHOLE_OUTPUTS,
    LocalNorms,
    linearise,
    local_norms,
    local_norms_of,
)
from harness.measures.lipschitz_lower import Lower, Pairs, departures, steepest_pairs, summary
from harness.measures.lipschitz_upper import certified_distance, log_probability_factor, upper
from harness.measures.measured import Measured
from harness.measures.picture_strip import Strip, strip
from harness.measures.points import Probe
from harness.measures.robust_accuracy import (
    L2_RADII,
    LINF_RADII,
    RobustAccuracy,
    linf_distance,
    nearest_linf_change,
    robust_accuracy,
    violations,
    warnings,
)
from harness.store.schema import Columns
from harness.task import Data
from harness.training.loop import predicted, wrong
from harness.training.stack import Model

STABILITY_CAP = 1.0
"""In data units. Two random points of the data lie about √2 apart, so a change of one unit is
another input."""

DISAGREE = 1.1
"""Ratio of the distances that the search's two beginnings led to, from which on they count as
different."""

STEEP, PAIRS = 16, 16
"""Where the ascent to the steepest pair begins: at the steepest of all points looked at, and at
random pairs of training points."""


class Bound(NamedTuple):
    """A model's certified Lipschitz constant per data unit, or why there is none."""

    lipschitz: float | None
    residual: float
    note: str | None


def certified_bound(module: nn.Module, data: Data, unit: float) -> Bound:
    """By the product of the layers' norms."""
    found = upper(module, tuple(data.x_test.shape[1:]))
    return Bound(
        None if found.product is None else found.product * unit, found.residual, found.note
    )


def sensitivity(probe: Probe, bounds: Sequence[Bound]) -> list[Measured]:
    """The sensitivity columns and the pictures of each model."""
    outputs, label, margins, norms = _at_points(probe)
    nearest = nearest_l2(probe, margins)
    distance = l2_distance(probe.x, nearest.change)
    right = ~wrong(outputs, probe.y, probe.classes)
    noisy = noise_response(probe.model, probe.x, probe.y, probe.classes, probe.all("normal"))
    parts = [
        _stability(probe, margins, nearest, distance, bounds),
        _lipschitz(probe, margins, norms, bounds),
        _adversarial(probe, margins, nearest, distance, right, noisy, bounds),
        _perturbed(probe, noisy),
    ]
    strips = _strips(probe, nearest, distance, label) if probe.images else []
    columns: list[Columns] = [{} for _ in probe.draws]
    for part in parts:
        for mine, more in zip(columns, part, strict=False):
            mine |= more
    measured = [Measured(mine) for mine in columns]
    for m, drawn in enumerate(strips):
        if drawn:
            measured[m] = Measured(columns[m] | {"pictures": drawn.rows}, drawn.png)
    return measured


def _at_points(probe: Probe) -> tuple[Tensor, Tensor, Margins, LocalNorms]:
    """Outputs, predicted labels, their margins and the Jacobians' norms, gradients in
    coordinates of `probe.seen`; from whole Jacobians where there are few outputs."""
    model, u = probe.seen.model, probe.coordinates("x")
    if probe.classes is None or probe.classes <= WHOLE_OUTPUTS:
        at_x = linearise(model, u)
        label = predicted(at_x.outputs, probe.classes)
        return (
            at_x.outputs,
            label,
            margins_of(at_x, label, probe.classes),
            local_norms_of(at_x, u, probe.classes, probe.on_sphere),
        )
    with torch.no_grad():
        outputs = model(u)
    label = predicted(outputs, probe.classes)
    return (
        outputs,
        label,
        margins_at(model, u, label, probe.classes),
        local_norms(model, u, probe.classes, probe.on_sphere),
    )


def nearest_l2(probe: Probe, margins: Margins) -> Nearest:
    """The nearest inputs (M·B, *input_shape) found with another label, in data units; `margins`
    are those at the points, in coordinates."""
    starts = torch.cat([d.starts for d in probe.draws])
    starts = probe.each(probe.seen.coordinates(starts))
    wander = torch.stack(
        [probe.seen.coordinates(w) for w in torch.cat([d.wander for d in probe.draws], dim=1)]
    )
    found = nearest_change(
        probe.seen.model, probe.coordinates("x"), starts, probe.classes, wander, margins
    )
    return found._replace(
        change=changing(
            probe.model, probe.x, probe.seen.inputs(probe.x, found.change), probe.classes
        )
    )


def nearest_linf(probe: Probe, margins: Margins, l2_change: Tensor) -> Tensor:
    """(M·B,) ℓ∞ distances to the nearest inputs found with another label, in the inputs' own
    numbers; `l2_change` in data units."""
    units = probe.units()
    raw, gradients = probe.x * units, probe.seen.lift(margins.gradients)
    at_raw = margins._replace(gradients=gradients / units[:, None])
    return linf_distance(
        raw,
        nearest_linf_change(probe.raw, raw, l2_change * units, probe.classes, probe.box, at_raw),
    )


def _certified(margins: Margins, bound: Bound, points: slice, classes: int | None) -> Tensor | None:
    """(B,) radii of balls on which no label changes, by the upper bound."""
    if bound.lipschitz is None:
        return None
    return certified_distance(margins.values[points].amin(dim=1), bound.lipschitz, classes)


def _stability(
    probe: Probe, margins: Margins, nearest: Nearest, distance: Tensor, bounds: Sequence[Bound]
) -> list[Columns]:
    linear, found = probe.each(linear_distance(margins, slopes(margins))), probe.each(distance)
    ends = nearest.ends.nan_to_num(posinf=1e9)
    apart = probe.each((ends.amax(0) > DISAGREE * ends.amin(0)).float()).mean(1).tolist()
    columns = []
    for m, (draw, bound) in enumerate(zip(probe.draws, bounds, strict=True)):
        by_gradient, by_attack = (
            stability(linear[m], STABILITY_CAP, leave_out=True),
            stability(found[m], STABILITY_CAP, leave_out=False),
        )
        certified = _certified(margins, bound, _of(probe, m), probe.classes)
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
                "stability_attack_disagreement": apart[m],
                "stability_certified_mean": None
                if certified is None
                else float(certified.clamp(max=STABILITY_CAP).mean()),
                "stability_certified_violations": None
                if certified is None
                else violations(certified, found[m]),
            }
        )
    return columns


def _of(probe: Probe, m: int) -> slice:
    """Where the points of one model lie."""
    size = len(probe.x) // probe.models
    return slice(m * size, (m + 1) * size)


def _lipschitz(
    probe: Probe, margins: Margins, held_out: LocalNorms, bounds: Sequence[Bound]
) -> list[Columns]:
    gradient = gradient_norms(margins, probe.x, probe.on_sphere)
    tangential, ambient = (probe.each(norms) for norms in gradient)
    sets = {"held_out": held_out}
    for name in ("train", "off_data"):
        sets[name] = local_norms(
            probe.seen.model, probe.coordinates(name), probe.classes, probe.on_sphere
        )
    pairs, logprob_pairs = (
        _pairs(probe, sets, logprobs=False),
        (_pairs(probe, sets, logprobs=True) if probe.classes else None),
    )
    mean_margin = probe.each(margins.values.amin(dim=1)).mean(1).tolist()
    norm = {name: probe.each(found.outputs.norm) for name, found in sets.items()}
    residual = (
        torch.stack(
            [probe.each(s.residual).amax(1) for f in sets.values() for s in f if s is not None]
        )
        .amax(0)
        .tolist()
    )
    columns = []
    for m, bound in enumerate(bounds):
        by_set = {name: float(found[m].max()) for name, found in norm.items()}
        mine, margin = norm["held_out"][m], mean_margin[m]
        columns.append(
            {
                "gradient_of": "f" if probe.classes is None else "margin",
                "lip_lower_grad": float(tangential[m].max()),
                "lip_mean_grad": float(tangential[m].mean()),
                "lip_lower_grad_ambient": float(ambient[m].max()),
                "lip_mean_grad_ambient": float(ambient[m].mean()),
                "lip_lower_jacobian": max(by_set.values()),
                **{f"lip_lower_jacobian_{name}": value for name, value in by_set.items()},
                "lip_lower_residual": residual[m],
                "lip_lower_pairs": pairs[m].largest,
                "lip_lower_pairs_distance": pairs[m].distance,
                "lip_lower_pairs_agreement": pairs[m].agreement,
                "lip_lower_pairs_off_centre": float((pairs[m].at - probe.draws[m].centre).norm()),
                "lip_lower_normalised": _over(pairs[m].largest, margin),
                "lip_mean_jacobian": float(mine.mean()),
                "lip_mean_jacobian_se": float(mine.std()) / math.sqrt(len(mine))
                if len(mine) > 1
                else math.nan,
                "lip_mean_normalised": _over(float(mine.mean()), margin),
                "lip_upper_product": bound.lipschitz,
                "lip_upper_normalised": _over(bound.lipschitz, margin),
                "lip_upper_residual": bound.residual,
                "lip_upper_note": bound.note,
                "margin_mean": margin,
            }
        )
        if logprob_pairs and probe.classes:
            logprob = [
                probe.each(found.logprobs.norm)[m] for found in sets.values() if found.logprobs
            ]
            upper_logprob = (
                None
                if bound.lipschitz is None
                else log_probability_factor(probe.classes) * bound.lipschitz
            )
            columns[-1] |= {
                "lip_lower_logprob_jacobian": max(float(norms.max()) for norms in logprob),
                "lip_lower_logprob_pairs": logprob_pairs[m].largest,
                "lip_lower_logprob_normalised": _over(logprob_pairs[m].largest, margin),
                "lip_mean_logprob_jacobian": float(logprob[0].mean()),
                "lip_mean_logprob_normalised": _over(float(logprob[0].mean()), margin),
                "lip_upper_logprob_product": upper_logprob,
                "lip_upper_logprob_normalised": _over(upper_logprob, margin),
            }
    return columns


def _over(value: float | None, margin: float) -> float | None:
    return value / margin if value is not None and margin > 0 else None


def _pairs(probe: Probe, sets: dict[str, LocalNorms], logprobs: bool) -> list[Lower]:
    """Ascend from the steepest points of all sets, and from pairs of training points; never
    below the steepest point itself."""
    found = [
        norms.logprobs if logprobs and norms.logprobs else norms.outputs for norms in sets.values()
    ]
    x = torch.cat(
        [probe.each(probe.all("x" if name == "held_out" else name)) for name in sets], dim=1
    )
    norm, direction = (
        torch.cat([probe.each(getattr(f, name)) for f in found], dim=1)
        for name in ("norm", "direction")
    )
    steepest = norm.topk(min(STEEP, norm.shape[1]), dim=1).indices
    models = torch.arange(probe.models, device=x.device)[:, None]
    train, partners = (
        torch.stack([getattr(d, name)[:PAIRS] for d in probe.draws])
        for name in ("train", "partners")
    )
    middle = torch.cat([x[models, steepest], (train + partners) / 2], dim=1).flatten(0, 1)
    u, v = departures(
        probe.seen.coordinates(x[models, steepest].flatten(0, 1)),
        direction[models, steepest].flatten(0, 1),
    )
    others = (probe.seen.coordinates(z.flatten(0, 1)) for z in (train, partners))
    u, v = (
        torch.cat([probe.each(a), probe.each(b)], dim=1).flatten(0, 1)
        for a, b in zip((u, v), others, strict=True)
    )
    model: Model = (lambda z: probe.seen.model(z).log_softmax(1)) if logprobs else probe.seen.model
    pairs = steepest_pairs(model, u, v, probe.on_sphere)
    pairs = pairs._replace(middle=probe.seen.inputs(middle, pairs.middle))
    return [
        summary(
            Pairs(*(probe.each(t)[m] for t in pairs)), float(norm[m].max()), x[m, steepest[m, 0]]
        )
        for m in range(probe.models)
    ]


def _adversarial(
    probe: Probe,
    margins: Margins,
    nearest: Nearest,
    distance: Tensor,
    right: Tensor,
    noisy: NoiseResponse,
    bounds: Sequence[Bound],
) -> list[Columns]:
    length_of_noise = (
        probe.all("normal").flatten(1).norm(dim=1, keepdim=True)
        * torch.tensor(RADII).to(probe.x)
        / math.sqrt(probe.x[0].numel())
    )
    shortest = length_of_noise.masked_fill(~noisy.flipped, math.inf).amin(dim=1)
    linf = nearest_linf(probe, margins, nearest.change)
    columns = []
    for m, (draw, bound) in enumerate(zip(probe.draws, bounds, strict=True)):
        mine = _of(probe, m)
        length = (
            probe.box[1] - probe.box[0] if probe.box else draw.unit / math.sqrt(draw.x[0].numel())
        )
        radii = [length * r for r in LINF_RADII]
        in_l2, in_linf = (
            robust_accuracy(right[mine], distance[mine], L2_RADII),
            robust_accuracy(right[mine], linf[mine], radii),
        )
        columns.append(
            {
                "robust_l2_radii": list(L2_RADII),
                **_named("l2", in_l2),
                "robust_linf_radii": radii,
                "robust_linf_box": list(probe.box) if probe.box else None,
                **_named("linf", in_linf),
                "attack_warnings": warnings(
                    margins.of(mine),
                    distance[mine],
                    _certified(margins, bound, mine, probe.classes),
                    shortest[mine],
                ),
            }
        )
    return columns


def _named(norm: str, found: RobustAccuracy) -> Columns:
    return {f"robust_accuracy_{norm}": found.accuracy, f"robust_accuracy_{norm}_se": found.se}


def _perturbed(probe: Probe, noisy: NoiseResponse) -> list[Columns]:
    """Gaussian noise on any input, corruptions of images."""
    right, flipped = (
        probe.each(hits).float().mean(1).tolist() for hits in (noisy.right, noisy.flipped)
    )
    change = probe.each(noisy.change.square()).mean(1).sqrt().tolist()
    kl = None if noisy.kl is None else probe.each(noisy.kl).mean(1).tolist()
    columns = [
        {
            "noise_radii": list(RADII),
            "noise_accuracy": right[m],
            "noise_accuracy_se": [math.sqrt(a * (1 - a) / len(draw.x)) for a in right[m]],
            "noise_flip_rate": flipped[m],
            "noise_output_change": change[m],
            "noise_kl": None if kl is None else kl[m],
        }
        for m, draw in enumerate(probe.draws)
    ]
    if probe.images and probe.box:
        found = corruption_response(
            probe.raw,
            probe.x * probe.units(),
            probe.y,
            probe.classes,
            probe.all("directions"),
            probe.box,
        )
        right, flipped = probe.each(found.right), probe.each(found.flipped)
        for m, mine in enumerate(columns):
            mine["corruptions"] = corruption_rows(right[m], flipped[m])
    return columns


def _strips(probe: Probe, nearest: Nearest, distance: Tensor, label: Tensor) -> list[Strip | None]:
    """For the first points of each model."""
    if not probe.box or probe.x.shape[1] not in (1, 3):
        return []
    units = probe.units()
    after = predicted(probe.model(nearest.change.nan_to_num(0.0)), probe.classes)
    strips = []
    for m in range(probe.models):
        mine = _of(probe, m)
        drawn = strip(
            (probe.x * units)[mine],
            (nearest.change * units)[mine],
            probe.box,
            _words(probe.y[mine], probe.classes),
            _words(label[mine], probe.classes),
            _words(after[mine], probe.classes),
            distance[mine].tolist(),
        )
        strips.append(drawn)
    return strips


def _words(labels: Tensor, classes: int | None) -> list[str]:
    return [f"{label:+g}" if classes is None else str(label) for label in labels.tolist()]
