"""The verdict on a frontier: four planted truths get four different, right verdicts, and too little
data gets none. `python -m tests.benchmarks.frontier_truths` counts many draws.

Run alone: python -m pytest tests/reports/test_frontier_answer.py
"""

from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from reports import frontier_answer
from reports.fits.common_slope import CommonSlope
from reports.frontier import radii
from reports.frontier_answer import (
    ATTAINED,
    BY_LAW,
    BY_SAMPLES,
    IN_DIMENSION,
    NO_FALL,
    SLOWER,
    STEEPER,
    FrontierFit,
    fit_frontier,
)
from tests import ROOT
from tests.reports.planted_frontiers import (
    R_INF,
    SEEDS,
    TRUTHS,
    Shape,
    Truth,
    planted,
    shapes,
)


def fit(radius=None, truth: Truth | None = None, cells=None, draw=0, **changes) -> FrontierFit:
    rows = radii(
        planted(truth or Truth(radius or law, ""), np.random.default_rng(draw), cells, **changes)
    )
    (found,) = fit_frontier(rows)
    return found


def law(p, n, d):
    return TRUTHS["law"].radius(p, n, d)


def test_no_two_truths_have_the_same_verdict():
    assert len({truth.verdict for truth in TRUTHS.values()}) == len(TRUTHS)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUTHS)
def test_a_planted_truth_gets_its_verdict(name):
    found = fit(truth=TRUTHS[name], draw=1)
    assert found.verdict == TRUTHS[name].verdict
    if name == "law":
        assert found.constant is not None and found.plain is not None
        assert found.constant.low < 0.72 < found.constant.high
        assert found.plain.value == pytest.approx(0.62, rel=0.02)
        assert found.dimension.within(-0.5, 0.1) and found.size.within(0.5, 0.1)
        assert found.rivals.gain("p/(n·d)", over="p/n")[0] > 0
        assert found.cells == len(shapes()) and 0 < found.binding < found.cells


@pytest.mark.slow
@pytest.mark.parametrize(
    ("exponent", "verdict"), [(0.3, SLOWER), (0.75, STEEPER)], ids=["slower", "faster"]
)
def test_the_order_of_d_alone_is_said_beside_another_order_of_p(exponent, verdict):
    found = fit(lambda p, n, d: 0.3 * d**-0.5 * (p / n) ** exponent)
    assert found.verdict == verdict
    assert found.size.low <= exponent <= found.size.high


@pytest.mark.slow
def test_without_a_climb_no_exponent_of_p_is_stated():
    cells = [s for s in shapes() if s.p / s.n < 5 and s.depth == 1]
    found = fit(law, cells=cells)
    assert found.verdict == IN_DIMENSION and not found.bends
    assert found.size.failure == "no curve spans a decade between onset and ceiling"
    assert fit(lambda p, n, d: 0.06 * (p / n) ** 0.5, cells=cells).verdict == NO_FALL


def test_small_dimensions_alone_decide_nothing_because_the_law_can_bind_nowhere():
    cells = [Shape(1024, d, round(k * 1024 / (d + 2)), 1) for d in (16, 32) for k in (1, 2, 4)]
    found = fit(lambda p, n, d: 0.06 * (p / n) ** 0.5, cells=cells)
    assert found.verdict == "cannot tell: the law can bind in no cell" and found.binding == 0


def test_two_dimensions_are_too_few():
    cells = [s for s in shapes() if s.d in (128, 256) and s.n == 1024 and s.depth == 1]
    verdict = fit(law, cells=cells).verdict
    assert verdict == "cannot tell: at p/n = 1, 2 and 4 only 2 dimensions are compared"


@pytest.mark.parametrize(
    ("of_d", "better", "expected"),
    [
        (-0.5, BY_SAMPLES, "near −1/2, but p/n predicts left-out curves better"),
        (0.0, BY_LAW, "near 0, but p/(n·d) predicts left-out curves better"),
        (-0.25, "", "that lies neither within 0.15 of −1/2 nor of 0"),
    ],
)
def test_what_is_not_decided_is_said_by_its_own_reason(of_d, better, expected):
    none = CommonSlope(np.nan, np.nan, np.nan, 0, 0, 0, (), "none")
    dimension = CommonSlope(of_d, of_d - 0.1, of_d + 0.1, 6, 6, 1)
    rivals = SimpleNamespace(misses={}, beats=lambda form, over: form == better)
    undecided = SimpleNamespace(
        law_known=False, binding=0, dimension=dimension, size=none, rivals=rivals, bends={}
    )
    verdict = frontier_answer._verdict(undecided)  # pyright: ignore
    assert verdict.startswith("cannot tell: ") and verdict.endswith(expected)


@pytest.mark.slow
def test_an_unknown_r_law_leaves_the_exponents_and_says_so():
    found = fit(law, radius_law=None, radius_law_32bit=None)
    assert not found.law_known and found.binding == 0
    # Without it the dimensions in which r∞ hides the law are not left out.
    assert found.dimension.places == 10 and found.verdict == ATTAINED


@pytest.mark.slow
@pytest.mark.parametrize(("share", "holds"), [(0.0, 0.0), (0.5, 0.5)])
def test_nets_of_equal_p_and_unequal_depth_tell_parameters_from_neurons(share, holds):
    pairs = [(48, 1), (32, 2), (127, 1), (64, 2), (253, 1), (100, 2)]
    cells = [Shape(512, 64, width, depth) for width, depth in pairs]
    evidence = planted(TRUTHS["law"], np.random.default_rng(4), cells)
    rows = radii(evidence)
    neurons = np.log(rows["neurons"] * (rows["d"] + 2) / rows["p"])
    rows["radius"] *= np.exp(share * neurons) * np.where(rows["depth"].gt(1), 0.9, 1.0)
    (found,) = fit_frontier(rows)
    assert found.depth is not None and not found.depth.failure
    assert found.depth.low <= holds <= found.depth.high
    assert not found.depth.low <= 0.5 - holds <= found.depth.high


def test_the_planted_design_is_the_one_of_the_shipped_sweep():
    sweep = yaml.safe_load((ROOT / "tasks" / "sweeps" / "frontier.yaml").read_text())
    shipped = set()
    for task in sweep["tasks"]:
        fixed = task["fixed"]
        if fixed.get("frontier") == "adversary":
            for width in task["grid"]["width"]:
                shipped.add(Shape(fixed["n"], fixed["d"], width, fixed.get("depth", 1)))
    assert shipped == set(shapes())
    assert len(sweep["seeds"]) == SEEDS and {(s.n, s.d) for s in shapes()} == set(R_INF)
