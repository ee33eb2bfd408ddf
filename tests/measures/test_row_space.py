"""A model in the coordinates of its first layer has the same outputs, gradient norms and nearest
points.

Run alone: python -m pytest tests/measures/test_row_space.py
"""

import pytest
import torch
from torch import Tensor, nn

from harness.measures.boundary import changing
from harness.measures.jacobian import linearise
from harness.measures.row_space import RowSpaceView
from harness.training.stack import FirstLayer, LayerStack, flat, stack
from tasks.models import MadryCNN, Standardize, mlp

SHAPE = (1, 4, 5)
UNITS = torch.tensor([0.5, 2.0, 3.0])


def models(*widths: int) -> list[nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [nn.Sequential(Standardize(0.2, 0.5), mlp(20, width, 2, 3)) for width in widths]


def points(models: int, each: int = 7, seed: int = 0) -> Tensor:
    return torch.randn(models * each, *SHAPE, generator=torch.Generator().manual_seed(seed))


def view_of(modules: list[nn.Module]) -> RowSpaceView:
    program, units = stack(modules, points(1)), UNITS[: len(modules)]
    return RowSpaceView(
        flat(program.of_inputs(units), len(modules)),
        len(modules),
        SHAPE,
        program.first_layer(units),
    )


WIDTHS = [(8,), (3, 8, 5), (20, 2), (64, 4, 30)]


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_outputs_are_those_of_the_models_themselves(widths: tuple[int, ...]):
    modules, x = models(*widths), points(len(widths))
    view = view_of(modules)
    assert view.basis is not None and view.basis.shape[2] == min(max(widths), 20)
    own = torch.cat(
        [m(unit * z) for m, unit, z in zip(modules, UNITS, x.chunk(len(widths)), strict=False)]
    )
    torch.testing.assert_close(view.model(view.coordinates(x)), own, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_moving_along_the_basis_keeps_lengths_and_moving_across_changes_nothing(
    widths: tuple[int, ...],
):
    view, x, v = view_of(models(*widths)), points(len(widths)), points(len(widths), seed=1)
    u = view.coordinates(v)
    along = view.lift(u)
    torch.testing.assert_close(view.coordinates(along), u, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(along.flatten(1).norm(dim=1), u.norm(dim=1), rtol=1e-5, atol=1e-6)
    outputs = view.model(view.coordinates(x))
    torch.testing.assert_close(
        view.model(view.coordinates(x + 10 * (v - along))), outputs, rtol=1e-3, atol=1e-3
    )
    moved = view.inputs(x, view.coordinates(x) + u)
    torch.testing.assert_close(moved, x + along, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_gradients_are_those_of_the_models_themselves(widths: tuple[int, ...]):
    modules, x = models(*widths), points(len(widths))
    view, program = view_of(modules), stack(modules, points(1))
    own = linearise(flat(program.of_inputs(UNITS[: len(widths)]), len(widths)), x).jacobian
    there = linearise(view.model, view.coordinates(x)).jacobian
    torch.testing.assert_close(view.lift(there), own, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(there.norm(dim=2), own.flatten(2).norm(dim=2), rtol=1e-4, atol=1e-5)


def test_in_a_stack_a_model_has_the_coordinates_it_has_alone():
    modules, x = models(3, 8), points(2)
    together, alone = view_of(modules).coordinates(x), view_of(modules[:1]).coordinates(x[:7])
    torch.testing.assert_close(together[:7, :3], alone, rtol=1e-5, atol=1e-6)
    assert bool((together[:7, 3:] == 0).all())


def test_the_nearest_point_of_a_hyperplane_lies_along_the_basis():
    w, x = torch.randn(1, 20, generator=torch.Generator().manual_seed(3)), points(1)
    view = RowSpaceView(
        lambda z: z.flatten(1) @ w.T,
        1,
        SHAPE,
        FirstLayer(w.T[None], torch.zeros(1, 1, 1), lambda h: h),
    )

    there = view.inputs(x, torch.zeros(7, 1))
    torch.testing.assert_close(
        there,
        x - (x.flatten(1) @ w.T / w.square().sum() * w).unflatten(1, SHAPE),
        rtol=1e-4,
        atol=1e-5,
    )


def test_without_a_first_layer_inputs_are_their_own_coordinates():
    net, x = MadryCNN(1, 2), torch.randn(3, 1, 28, 28)
    program = stack([net, net], x)
    assert not isinstance(program, LayerStack) and program.first_layer() is None
    view = RowSpaceView(flat(program.of_inputs(), 2), 2, x.shape[1:], None)
    assert view.coordinates(x) is x and view.inputs(x, x + 1).equal(x + 1) and view.lift(x) is x


def sign(x: Tensor) -> Tensor:
    return x.sum(1, keepdim=True)


def test_a_change_that_rounding_undid_is_lengthened():
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1e-4, 0.0]])
    short = torch.tensor([[-1e-3, 0.0], [5e-6, 0.0], [0.0, 4e-4], [1e-6, 0.0]])
    found = changing(sign, x, short, None)
    assert torch.equal(found[0], short[0]), "it changed the label already"
    assert bool((sign(found) < 0).all())
    assert (
        bool(((found - short).norm(dim=1) <= 1.2e-3).all())
        and float((found - short)[1].norm()) <= 1.2e-4
    )


def test_a_change_that_keeps_its_label_becomes_nan():
    x, never = (
        torch.tensor([[1.0, 0.0], [1.0, 0.0]]),
        torch.tensor([[0.5, 0.0], [torch.nan, torch.nan]]),
    )
    assert bool(changing(sign, x, never, None).isnan().all())
