"""The steepest pair is found where no sampled point has a slope: at the rims of caps, and on a thin
ramp between two flats. It never exceeds the known constant.

Run alone: python -m pytest tests/measures/test_steep_places.py
"""

import pytest
import torch
from torch import nn

from harness.measures.jacobian import local_norms
from harness.measures.lipschitz_ascent import POINT_SETS, largest_slopes, steepest_parts
from harness.measures.lipschitz_lower import Lower
from harness.measures.points import Draw, Probe
from harness.noise import Noise
from harness.task import Data, Seeds
from harness.training.stack import Alone
from tests.measures.caps import (
    SQRT_7_SHAPES,
    Caps,
    caps_around_random_points,
    caps_around_unit_vectors,
)
from tests.measures.searches import points


def probe_of(module: nn.Module, data: Data) -> Probe:
    return Probe(Alone(module), [data], [Draw(data, Seeds(0), 64)])


def steepest(module: nn.Module, data: Data) -> tuple[float, Lower]:
    """Return the largest norm of a Jacobian at sampled points, and the steepest pair, both per data
    unit."""
    probe = probe_of(module, data)
    model = probe.row_space.model
    norms = {
        name: local_norms(model, probe.coordinates(attribute), None, probe.on_sphere).outputs
        for name, attribute in POINT_SETS.items()
    }
    (found,) = largest_slopes(probe, model, norms)
    return max(float(singular.norm.max()) for singular in norms.values()), found


def assert_nearly_sqrt_7(net: Caps) -> None:
    at_points, found = steepest(net.module, net.data)
    assert at_points < 0.01 * net.tangential, "nothing is steep at the points"
    assert 2.60 <= found.largest / net.data.unit() <= net.tangential * (1 + 1e-4)


@pytest.mark.slow
def test_the_rims_of_caps_around_random_points():
    """The larger shapes are those of a soak test in test_known_answers_caps.py."""
    assert_nearly_sqrt_7(caps_around_random_points(*SQRT_7_SHAPES[0]))


@pytest.mark.slow
def test_the_rims_of_caps_around_unit_vectors():
    assert_nearly_sqrt_7(caps_around_unit_vectors(250))


def slab(d: int, slope: float) -> tuple[nn.Sequential, Data]:
    """Return a network that is 0 where x₁ < .1, 1 where x₁ > .1 + 1/slope, and linear in between;
    and points around it."""
    ramps = nn.Linear(d, 2)
    difference = nn.Linear(2, 1)
    with torch.no_grad():
        ramps.weight.zero_()[:, 0] = slope
        ramps.bias.copy_(torch.tensor([-0.1 * slope, -0.1 * slope - 1]))
        difference.weight.copy_(torch.tensor([[1.0, -1.0]]))
        difference.bias.fill_(-0.5)
    module = nn.Sequential(ramps, nn.ReLU(), difference)
    x = points(200, d)
    y = torch.where(x[:, 0] > 0.1, 1.0, -1.0)
    return module, Data(x[:100], y[:100], x[100:], y[100:], Noise("none", 0.0, 0.0, 0.0))


@pytest.mark.slow
def test_a_thin_slab_between_two_flats():
    """Slope 1e4 on a layer 1e-4 thick. An ascent alone stops at the least distance of a pair, .02,
    with a quotient of 50."""
    module, data = slab(20, 1e4)
    at_points, found = steepest(module, data)
    assert at_points == 0
    assert found.largest / data.unit() == pytest.approx(1e4, rel=1e-3)


@pytest.mark.slow
def test_the_steepest_part_of_a_segment_is_where_the_slab_is():
    module, data = slab(20, 1e4)
    probe = probe_of(module, data)
    begin, end = steepest_parts(probe, probe.row_space.model)
    side_of_begin = begin[0, :, 0] * data.unit() > 0.1
    side_of_end = end[0, :, 0] * data.unit() > 0.1
    crossed = side_of_begin != side_of_end
    assert 2 <= int(crossed.sum()) < len(crossed), "some segments stay on one side"
