"""Spectral norms of Jacobians agree with dense singular values, by both methods, also along the
sphere, and carry residuals.

Run alone: python -m pytest tests/measures/test_jacobian.py
"""

import pytest
import torch
from torch import Tensor, nn

from harness.measures import jacobian
from harness.measures.jacobian import (
    Linearised,
    along_sphere,
    lanczos,
    linearise,
    local_norms,
    spectral_norm,
)
from harness.training.stack import stack
from tasks.models import MadryCNN, mlp


def points(n: int, *shape: int) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(0))


def linear(d: int, outputs: int, seed: int = 1) -> nn.Linear:
    model = nn.Linear(d, outputs)
    with torch.no_grad():
        model.weight.copy_(torch.randn(outputs, d, generator=torch.Generator().manual_seed(seed)))
    return model


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [1, 2, 10, 40])
@pytest.mark.parametrize("d", [1, 5, 100])
def test_a_linear_map_has_its_top_singular_value_everywhere(d: int, outputs: int):
    """With 40 outputs Lanczos's method is used."""
    model = linear(d, outputs)
    found = local_norms(model, points(7, d), outputs if outputs > 1 else None, on_sphere=False)
    assert found.outputs.norm.tolist() == pytest.approx(
        [float(torch.linalg.matrix_norm(model.weight.detach(), 2))] * 7, rel=1e-4
    )
    assert float(found.outputs.residual.max()) < 0.01
    assert (found.logprobs is None) == (outputs == 1)


@pytest.mark.parametrize("outputs", [1, 3, 10])
def test_jacobians_against_torchs_own(outputs: int):
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, outputs)), points(5, 6)
    own = torch.stack(
        [torch.autograd.functional.jacobian(lambda z: model(z[None])[0], xi) for xi in x]
    )
    torch.testing.assert_close(linearise(model, x).jacobian, own)


def test_norms_of_log_probabilities_against_torchs_own_jacobian():
    torch.manual_seed(0)
    model, x = mlp(6, 9, 1, 4), points(5, 6)
    own = [
        torch.autograd.functional.jacobian(lambda z: model(z[None])[0].log_softmax(0), xi)
        for xi in x
    ]
    expected = [float(torch.linalg.matrix_norm(j, 2)) for j in own]
    found = local_norms(model, x, 4, on_sphere=False).logprobs
    assert found is not None and found.norm.tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("on_sphere", [False, True])
@pytest.mark.parametrize(
    "build", [lambda: mlp(12, 20, 2, 10), lambda: MadryCNN(1, 10)], ids=["mlp", "cnn"]
)
def test_lanczos_agrees_with_whole_jacobians(build, on_sphere: bool):
    torch.manual_seed(0)
    model, x = (
        build(),
        (
            points(6, 12)
            if build().__class__ is nn.Sequential and isinstance(build()[0], nn.Flatten)
            else points(6, 1, 28, 28)
        ),
    )

    at = linearise(model, x).jacobian.flatten(2)
    whole = spectral_norm(along_sphere(at, x) if on_sphere else at)
    iterated = lanczos(model, x, on_sphere)
    assert bool((iterated.norm <= whole.norm * (1 + 1e-4)).all()), "it can only fall short"

    torch.testing.assert_close(iterated.norm, whole.norm, rtol=1e-4, atol=0)
    assert bool((iterated.residual < 1e-3).all())


def test_the_residual_shows_when_an_iteration_has_not_converged(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    model, x = mlp(50, 64, 1, 40), points(6, 50)
    arrived = lanczos(model, x, on_sphere=False)
    monkeypatch.setattr(jacobian, "KRYLOV", 2)
    early = lanczos(model, x, on_sphere=False)
    assert float(early.residual.median()) > 10 * float(arrived.residual.median())


def test_the_steepest_direction_is_the_right_singular_vector():
    model, x = linear(8, 3), points(4, 8)
    right = torch.linalg.svd(model.weight.detach()).Vh[0]
    for found in (
        local_norms(model, x, None, on_sphere=False).outputs,
        lanczos(model, x, on_sphere=False),
    ):
        assert (found.direction @ right).abs().tolist() == pytest.approx([1.0] * 4, abs=1e-3)


def test_along_the_sphere_nothing_points_outwards():
    x, rows = points(5, 7), points(5, 3 * 7).reshape(5, 3, 7)
    tangent = along_sphere(rows, x)
    assert float((tangent @ x[:, :, None]).abs().max()) < 1e-5
    torch.testing.assert_close(along_sphere(tangent, x), tangent, atol=1e-5, rtol=1e-5)


def test_a_model_that_is_flat_has_norm_and_residual_zero():
    model = nn.Linear(4, 3)
    nn.init.zeros_(model.weight)
    for found in (
        local_norms(model, points(3, 4), 3, on_sphere=False).outputs,
        lanczos(model, points(3, 4), on_sphere=False),
    ):
        assert (found.norm.tolist(), found.residual.tolist()) == ([0.0] * 3, [0.0] * 3)


def test_stacked_models_keep_their_own_norms():
    torch.manual_seed(0)
    models, x = [mlp(6, 9, 1, 40) for _ in range(3)], points(3 * 4, 6)
    program = stack(models, x[:4])

    def together(z: Tensor) -> Tensor:
        return program(z.unflatten(0, (3, -1))).flatten(0, 1)

    found = local_norms(together, x, 40, on_sphere=False).outputs.norm
    alone = torch.cat(
        [
            spectral_norm(linearise(m, part).jacobian).norm
            for m, part in zip(models, x.split(4), strict=True)
        ]
    )
    torch.testing.assert_close(found, alone, rtol=1e-4, atol=0)
    assert isinstance(linearise(models[0], x[:4]), Linearised)
