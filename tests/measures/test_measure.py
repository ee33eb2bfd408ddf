"""All measured columns together: exact for a linear model, in units that do not depend on the scale
of data or outputs.

Run alone: python -m pytest tests/measures/test_measure.py
"""

import dataclasses
import functools
import math

import pytest
import torch
from torch import Tensor, nn

from harness.measures import STABILITY_CAP, measure
from harness.noise import Noise
from harness.store.schema import Columns
from harness.sweeps.trial import MEASURE_POINTS
from harness.task import Data, Seeds
from harness.training.stack import Alone, stack
from tasks.models import mlp
from tasks.sphere import on_sphere
from tests.measures.agreement import ASCENDED, COUNTED, SMALL, alike

D = 6


def data(classes: int | None, held_out: int = 300, scale: float = 1.0) -> Data:
    draw = torch.Generator().manual_seed(0)
    x, x_test = (torch.randn(n, D, generator=draw) for n in (200, held_out))
    y, y_test = (
        torch.where(v[:, 0] > 0, 1.0, -1.0) if classes is None else (v[:, 0] > 0).long()
        for v in (x, x_test)
    )
    return Data(x * scale, y, x_test * scale, y_test, Noise("none", 0.0, 0.0), classes)


class Times(nn.Module):
    """x times a number."""

    def __init__(self, factor: float):
        super().__init__()
        self.lipschitz = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.lipschitz * x


def scaled_model(model: nn.Module, inside: float, outside: float) -> nn.Module:
    """outside · model(inside · x)."""
    return nn.Sequential(Times(inside), model, Times(outside))


def net(outputs: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return mlp(D, 20, 1, outputs)


def measured(
    model: nn.Module, samples: Data, seed: int = 0, points: int = MEASURE_POINTS
) -> Columns:
    (found,) = measure(Alone(model), [samples], [Seeds(seed)], points)
    return found.columns


@pytest.mark.slow
def test_a_linear_model_exactly():
    # so that every held-out point is measured
    model, samples = nn.Linear(D, 1), data(None, held_out=MEASURE_POINTS)
    with torch.no_grad():
        model.weight.copy_(torch.arange(1.0, D + 1)[None])
        model.bias.fill_(0.5)

    found, w, unit = measured(model, samples), model.weight.detach()[0], samples.unit()
    f = samples.x_test @ w + 0.5
    distance = (f.abs() / w.norm() / unit).clamp(max=STABILITY_CAP)
    assert found["data_unit"] == unit

    for name in ("stability_first_order", "stability_attack"):
        assert found[f"{name}_mean"] == pytest.approx(float(distance.mean()), rel=1e-4)
        assert found[f"{name}_median"] == pytest.approx(float(distance.median()), rel=1e-3)
    assert found["stability_attack_se"] == pytest.approx(
        float(distance.std()) / MEASURE_POINTS**0.5, rel=1e-3
    )
    assert found["stability_attack_mean_l2"] == found["stability_attack_mean"] * unit

    for name in (
        "lip_lower_grad",
        "lip_mean_grad",
        "lip_lower_grad_ambient",
        "lip_mean_grad_ambient",
    ):
        assert found[name] == pytest.approx(float(w.norm()) * unit, rel=1e-5)

    assert found["test_accuracy"] == pytest.approx(
        float((f.sign() == samples.y_test).float().mean())
    )
    assert found["test_loss"] == pytest.approx(
        float((f - samples.y_test).square().mean()), rel=1e-5
    )

    for accuracy, se in zip(found["noise_accuracy"], found["noise_accuracy_se"], strict=True):
        assert se == pytest.approx(math.sqrt(accuracy * (1 - accuracy) / MEASURE_POINTS))
    assert (found["test_n"], found["measure_points"], found["gradient_of"]) == (
        MEASURE_POINTS,
        MEASURE_POINTS,
        "f",
    )


RAW = {"data_unit", "stability_attack_mean_l2", "robust_linf_radii"}

UNSCALED = {"lip_upper_residual", "lip_upper_note", "lip_lower_pairs_off_centre"}


@functools.cache
def as_it_is(classes: int | None) -> Columns:
    """Return the columns of the plain net on its plain data, which two scales are compared with."""
    return measured(net(classes or 1), data(classes))


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "scale"), [(None, 0.01), (2, 255.0), (3, 0.01)])
def test_the_unit_of_the_data_does_not_matter(classes: int | None, scale: float):
    plain = as_it_is(classes)
    model = scaled_model(net(classes or 1), 1 / scale, 1.0)
    scaled = measured(model, data(classes, scale=scale))
    for name, value in plain.items():
        if name in RAW:
            value = [v * scale for v in value] if isinstance(value, list) else value * scale
        assert alike(name, scaled[name], value, MEASURE_POINTS), name


@pytest.mark.slow
@pytest.mark.parametrize("classes", [None, 2, 3])
def test_the_scale_of_the_outputs_moves_lipschitz_figures_only(classes: int | None):
    """Multiplying the logits by ten changes no prediction and no distance to the boundary."""
    model = net(classes or 1)
    plain, loud = (
        measured(scaled_model(model, 1.0, outside), data(classes)) for outside in (1.0, 10.0)
    )
    for name, value in plain.items():
        if (
            value is None
            or name in COUNTED | SMALL | {"lip_lower_pairs_distance"}
            or "logprob" in name
        ):
            continue
        if name.endswith("_normalised") or name.startswith(
            ("stability", "noise_a", "noise_f", "test_accuracy", "robust_accuracy")
        ):
            assert alike(name, loud[name], value, MEASURE_POINTS), name
        elif name in ASCENDED:
            assert loud[name] == pytest.approx(10 * value, rel=0.05), name
        elif (
            name.startswith("lip")
            and name not in UNSCALED
            or name in ("margin_mean", "noise_output_change")
        ):
            assert loud[name] == pytest.approx(
                10 * value if isinstance(value, float) else [10 * v for v in value], rel=1e-3
            ), name


@pytest.mark.slow
def test_on_the_sphere_gradients_are_measured_along_it_and_in_the_ambient_space():
    x = on_sphere(500, D, torch.Generator().manual_seed(0))
    samples = dataclasses.replace(
        data(None), x_train=x[:200], x_test=x[200:], manifold="unit-sphere"
    )
    found = measured(net(1), samples)
    assert (
        found["lip_lower_grad"] < found["lip_lower_grad_ambient"]
        and found["lip_mean_grad"] < found["lip_mean_grad_ambient"]
    )


@pytest.mark.slow
def test_points_come_from_the_measure_stream_whatever_the_model():
    """Two models whose signs agree everywhere have the same figures. Another seed draws other
    points and noise."""
    model, samples = net(1), data(None, held_out=2000)
    one, same, other = (
        measured(m, samples, seed)
        for m, seed in ((model, 0), (scaled_model(model, 1.0, 3.0), 0), (model, 1))
    )
    assert one["noise_flip_rate"] == same["noise_flip_rate"] != other["noise_flip_rate"]
    assert one["stability_attack_mean"] != other["stability_attack_mean"]
    assert one["test_accuracy"] == other["test_accuracy"], "accuracy is over the whole held-out set"


@pytest.mark.slow
def test_measuring_does_not_change_the_model():
    model = net(2)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    measured(model, data(2))
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.slow
def test_dropout_is_off_while_measuring():
    off, on = (nn.Sequential(nn.Dropout(p), net(1)).train() for p in (0.0, 0.5))
    assert measured(on, data(None)) == measured(off, data(None))


@pytest.mark.slow
@pytest.mark.parametrize(("width", "classes"), [(3, 4), (6, 2), (40, None)])
def test_in_the_first_layers_coordinates_a_model_has_the_same_figures(
    width: int, classes: int | None
):
    """The layer is narrower than the inputs, as wide, and wider. Behind dropout, although it is
    off, the first layer is not recognised."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = mlp(D, width, 1, classes or 1)
    known = measured(model, data(classes))
    hidden = measured(nn.Sequential(nn.Dropout(0.0), model), data(classes))
    searched = ("stability_attack", "robust_accuracy", "attack_warnings")

    for name, value in hidden.items():
        if not name.startswith(searched):
            assert alike(name, known[name], value, MEASURE_POINTS), name
    assert known["stability_attack_mean"] == pytest.approx(
        hidden["stability_attack_mean"], rel=0.02
    )
    assert known["robust_accuracy_linf"] == pytest.approx(
        hidden["robust_accuracy_linf"], abs=3 / MEASURE_POINTS
    )


@pytest.mark.slow
@pytest.mark.parametrize("points", [1, 40, 1000])
def test_the_number_of_points_is_the_one_asked_for_or_all_there_are(points: int):
    assert measured(net(1), data(None), points=points)["measure_points"] == min(points, 300)


@pytest.mark.slow
def test_without_points_only_accuracy_is_measured():
    whole, bare = measured(net(2), data(2)), measured(net(2), data(2), points=0)
    accuracy = {"test_loss", "test_accuracy", "test_accuracy_se", "test_n"}
    assert set(bare) == accuracy | {"ece", "ece_se", "nll", "nll_se", "brier", "brier_se"}
    assert bare == {name: whole[name] for name in bare}


@pytest.mark.slow
def test_models_in_a_stack_measure_as_they_do_alone():
    """Two models are measured on each of two data sets, with different units and seeds."""
    classes = 3
    models = [mlp(D, width, 1, classes) for width in (20, 8, 20, 8)]
    samples = [s for s in (data(classes), data(classes, held_out=400, scale=3.0)) for _ in range(2)]
    seeds = [0, 0, 1, 1]
    program = stack(models, samples[0].x_train[:4])
    together = measure(program, samples, [Seeds(s) for s in seeds], MEASURE_POINTS)
    for model, own, seed, found in zip(models, samples, seeds, together, strict=True):
        alone = measured(model, own, seed)
        assert list(found.columns) == list(alone)
        for name, value in alone.items():
            assert alike(name, found.columns[name], value, MEASURE_POINTS), name


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "drawn"), [(1, True), (2, False), (3, True), (5, False)])
def test_images_with_any_number_of_channels_are_measured_and_drawn_if_possible(
    channels: int, drawn: bool
):
    draw = torch.Generator().manual_seed(0)
    x, x_test = (torch.rand(n, channels, 4, 5, generator=draw) for n in (60, 40))
    y, y_test = ((v.flatten(1).mean(1) > 0.5).long() for v in (x, x_test))
    samples = Data(x, y, x_test, y_test, Noise("none", 0.0, 0.0), 2, box=(0.0, 1.0))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        (result,) = measure(Alone(mlp(channels * 20, 8, 1, 2)), [samples], [Seeds(0)], points=16)
    found = result.columns

    assert (
        (result.pictures is not None) == ("pictures" in found) == drawn
        and len(found["corruptions"]) == 20
        and found["robust_linf_box"] == [0.0, 1.0]
    )


def test_without_a_finite_loss_only_accuracy_is_measured():
    model = net(3)
    with torch.no_grad():
        for p in model.parameters():
            p *= 1e30
    found = measured(model, data(3))
    assert not math.isfinite(found["test_loss"]) and "lip_lower_jacobian" not in found
