"""How many epochs a trial is expected to run: by hand, and from one to its cap.

Run alone: python -m pytest tests/planning/test_expected_epochs.py
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.planning.expected_epochs import MEASURED, SMALLEST, expected_epochs
from harness.planning.model_shape import shape_of
from harness.sweeps.registry import TaskRef, load
from harness.task import Config
from tests.planning.grids import text
from tests.planning.shapes import shape_with

RULES = st.sampled_from(["noise", "interpolate", "epochs"])

CONFIGS = st.builds(
    Config,
    n=st.integers(2, 10**6),
    stop=RULES,
    max_epochs=st.integers(1, 10**5),
    batch_size=st.integers(1, 10**4),
)


@given(CONFIGS, st.integers(1, 10**9), st.integers(1, 10**9), st.sampled_from([1, 10]))
def test_a_forecast_is_from_one_to_the_cap_and_falls_with_size(
    config: Config, p: int, more: int, outputs: int
):
    small, large = (expected_epochs(config, shape_with(size, outputs)) for size in (p, p + more))
    assert 1 <= large <= small <= config.max_epochs


@given(CONFIGS, st.integers(1, 10**9))
def test_with_stop_epochs_it_is_the_cap(config: Config, p: int):
    to_the_cap = config.model_copy(update={"stop": "epochs"})
    assert expected_epochs(to_the_cap, shape_with(p)) == config.max_epochs

    adversarial = config.model_copy(update={"adversary": "fgsm"})
    assert expected_epochs(adversarial, shape_with(p)) == config.max_epochs


@pytest.mark.parametrize("stop", ["noise", "interpolate"])
def test_what_is_too_small_for_its_data_runs_to_its_cap(stop: str):
    config = Config.model_validate({"n": 1000, "stop": stop, "max_epochs": 10**6})
    limit = int(SMALLEST[stop] * 1000)
    assert expected_epochs(config, shape_with(limit - 1)) == 10**6
    assert expected_epochs(config, shape_with(limit)) < 10**4


@pytest.mark.parametrize("stop", ["noise", "interpolate"])
def test_a_forecast_by_hand(stop: str):
    config = Config.model_validate({"n": 256, "stop": stop, "max_epochs": 10**6, "batch_size": 64})
    a, b, c, *_ = MEASURED[stop]
    assert expected_epochs(config, shape_with(1024)) == pytest.approx(a * 256**b * 4**c / 4)
    assert expected_epochs(
        config.model_copy(update={"batch_size": 32}), shape_with(1024)
    ) == pytest.approx(a * 256**b * 4**c / 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("noise", 6.6 * 1000**0.69 * 0.1**-0.29 * 0.002**-0.12 * 128**-0.18),
        ("interpolate", 15.0 * 1000**0.35 * 0.1**-0.43 * 0.002**-0.35 * 128**-0.18),
    ],
)
def test_epochs_of_a_vocabulary_have_exponents_of_their_own(stop: str, expected: float):
    """Inputs are of 16 tokens in 8 dimensions."""
    of_text = shape_of(
        TaskRef("text"), text(n=64, stop="epochs", max_epochs=1, width=8).load_config()
    )
    config = load(TaskRef("text")).Config.model_validate(
        {
            "n": 1000,
            "target_resample": 0.2,
            "stop": stop,
            "batch_size": 50,
            "max_epochs": 10**6,
            "lr": 0.002,
        }
    )
    assert expected_epochs(config, of_text._replace(p=25_600)) == pytest.approx(expected / 20)
    assert expected_epochs(config, of_text._replace(p=4_999)) == 10**6, (
        "fewer than five parameters per window: to the cap"
    )
