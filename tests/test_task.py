"""What every task shares: seed streams, the data unit, content hashes, and fields that say what
they are for.

Run alone: python -m pytest tests/test_task.py
"""

import dataclasses
import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from harness.noise import Noise
from harness.sweeps.installed import BUILT_IN
from harness.sweeps.registry import TaskRef, load, load_samples
from harness.sweeps.trial import make_trial
from harness.task import Config, Data, Field, Seeds, Source
from tasks.mnist import MnistConfig
from tasks.sphere import SphereConfig, on_sphere

STREAMS = (
    "data",
    "noise",
    "init",
    "order",
    "dropout",
    "adversary",
    "measure",
    "input_noise",
    "wander",
    "off_data",
    "corruption",
    "tokens",
)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_field_of_a_built_in_task_has_a_meaning_and_a_default(name: str):
    for key, field in load(TaskRef(name)).Config.model_fields.items():
        assert field.description, key
        assert not field.is_required(), key


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_built_in_tasks_say_what_they_are(name: str):
    task = load(TaskRef(name))
    assert task.name == name and (task.__doc__ or "").strip()


def test_size_and_source_fields_are_known():
    assert SphereConfig.fields_marked("size") == {"width"}
    assert MnistConfig.fields_marked("size") == {"width", "capacity"}
    assert MnistConfig.fields_marked("source") == {"source"}
    assert Config.fields_marked("size") == frozenset()


def test_settings_are_what_stays_fixed_along_a_curve():
    small, large = SphereConfig(width=2), SphereConfig(width=512)
    without_size = {k: v for k, v in small.plain().items() if k != "width"}
    assert small.settings() == large.settings() == without_size
    assert SphereConfig(n=9).settings() != SphereConfig(n=10).settings()


# Optional fields, which leave identities as they were


class OptionalConfig(Config):
    layers: int | None = Field(default=None, description="none by default")
    scale: float | None = Field(default=2.0, description="none only when asked for")
    source: str = Source("here", description="where data come from")


@pytest.mark.parametrize(
    ("fields", "present", "absent"),
    [
        (
            {},
            {"scale": 2.0, "n": 512, "source": "here"},
            {"layers", "adversary", "adversary_radius"},
        ),
        (
            {"layers": 3, "scale": None},
            {"layers": 3, "scale": None},
            {"adversary", "adversary_steps", "adversary_step_size"},
        ),
        ({"layers": None}, {"scale": 2.0}, {"layers"}),
        (
            {"adversary": "fgsm", "adversary_radius": 0.5},
            {"adversary": "fgsm", "adversary_radius": 0.5},
            {"adversary_steps", "layers"},
        ),
    ],
)
def test_a_field_that_is_none_by_default_is_left_out(
    fields: dict[str, Any], present: dict[str, Any], absent: set[str]
):
    config = OptionalConfig.model_validate(fields)
    present_but_source = {k: v for k, v in present.items() if k != "source"}
    for values in (config.plain(), config.plain(without=["source"]), config.settings()):
        assert present_but_source.items() <= values.items()
        assert not absent & values.keys()

    assert OptionalConfig.model_validate(config.plain()) == config, "nothing is lost"
    assert "source" in config.plain()
    assert "source" not in config.settings()


EARLIER = {
    "b80eb0ca9f426fa4": ("sphere", {"n": 128, "d": 8, "width": 8, "max_epochs": 800}),
    "5e4fa2997dc0bfd2": ("sphere", {"n": 128, "d": 8, "width": 8, "max_epochs": 1000}),
    "4c84e2683d67de61": ("mnist", {"n": 500, "label_flip": 0.1, "width": 4, "max_epochs": 300}),
}
"""Trials of the sweeps quickstart, sphere-law and mnist-law, by their ids, which are the same since
the first version."""


@pytest.mark.parametrize("trial_id", EARLIER)
def test_earlier_trials_keep_their_ids(trial_id: str):
    name, fields = EARLIER[trial_id]
    ref = TaskRef(name)
    config = load(ref).Config.model_validate(fields)
    trial = make_trial(ref, config, 0)
    assert trial.trial_id == trial_id
    assert trial.load_config() == config


def test_every_field_of_an_adversary_is_part_of_the_identity():
    kinds = [
        {},
        {"adversary": "fgsm", "adversary_radius": 0.1},
        {"adversary": "fgsm", "adversary_radius": 0.2},
        {"adversary": "pgd", "adversary_radius": 0.1},
        {"adversary": "pgd", "adversary_radius": 0.1, "adversary_steps": 7},
        {
            "adversary": "pgd",
            "adversary_radius": 0.1,
            "adversary_steps": 7,
            "adversary_step_size": 0.05,
        },
    ]
    ref = TaskRef("sphere")
    trials = [make_trial(ref, SphereConfig.model_validate(kind), 0) for kind in kinds]
    assert len({trial.trial_id for trial in trials}) == len(kinds)


# Adversaries


def test_fields_left_out_of_pgd_are_filled_in():
    """Madry et al.'s 40 steps of 0.01 at radius 0.3, and in proportion."""
    config = Config(adversary="pgd", adversary_radius=0.3)
    assert (config.adversary_steps, config.adversary_step_size) == (40, pytest.approx(0.01))
    assert config.plain()["adversary_steps"] == 40
    spelt_out = Config(
        adversary="pgd",
        adversary_radius=0.3,
        adversary_steps=40,
        adversary_step_size=config.adversary_step_size,
    )
    assert config == spelt_out
    assert config.plain() == spelt_out.plain()

    fewer_steps = Config(adversary="pgd", adversary_radius=0.6, adversary_steps=8)
    assert fewer_steps.adversary_step_size == pytest.approx(0.1)
    own_step_size = Config(adversary="pgd", adversary_radius=0.3, adversary_step_size=0.5)
    assert own_step_size.adversary_step_size == 0.5


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ({}, 0),
        ({"adversary": "fgsm"}, 1),
        ({"adversary": "pgd"}, 40),
        ({"adversary": "pgd", "adversary_steps": 3}, 3),
    ],
)
def test_passes_before_every_step(fields: dict[str, Any], passes: int):
    radius = {"adversary_radius": 0.3} if fields else {}
    assert Config.model_validate({**fields, **radius}).adversary_passes == passes


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"adversary_radius": 0.3},
            (
                "'adversary_radius' is 0.3 and there is no adversary; set adversary to 'fgsm' or"
                " 'pgd', or leave it out"
            ),
        ),
        ({"adversary_steps": 7}, "'adversary_steps' is 7 and there is no adversary"),
        ({"adversary_step_size": 0.1}, "'adversary_step_size' is 0.1 and there is no adversary"),
        ({"adversary": "fgsm"}, "adversary 'fgsm' needs 'adversary_radius', a number above 0"),
        (
            {"adversary": "pgd", "adversary_steps": 7},
            "adversary 'pgd' needs 'adversary_radius', a number above 0",
        ),
        (
            {"adversary": "fgsm", "adversary_radius": 0.3, "adversary_steps": 7},
            (
                "'adversary_steps' is 7 and belongs to adversary 'pgd'; 'fgsm' takes one step of"
                " the whole radius"
            ),
        ),
        (
            {"adversary": "fgsm", "adversary_radius": 0.3, "adversary_step_size": 0.1},
            "'adversary_step_size' is 0.1 and belongs to adversary 'pgd'",
        ),
        ({"adversary": "deepfool", "adversary_radius": 0.3}, "Input should be 'fgsm' or 'pgd'"),
        ({"adversary": "fgsm", "adversary_radius": 0.0}, "greater than 0"),
        (
            {"adversary": "pgd", "adversary_radius": 0.3, "adversary_steps": 0},
            "greater than or equal to 1",
        ),
    ],
)
def test_an_adversary_that_is_not_whole_is_refused(fields: dict[str, Any], sentence: str):
    with pytest.raises(ValidationError) as refused:
        Config.model_validate(fields)
    assert sentence in str(refused.value)


# Seeds


def test_streams_are_distinct_and_depend_on_seed_and_name_alone():
    seeds = [0, 1, 2, 10, 2**63 - 1]
    streams = {(seed, name): Seeds(seed).stream(name) for seed in seeds for name in STREAMS}
    assert len(set(streams.values())) == len(seeds) * len(STREAMS)
    assert all(0 <= s < 2**63 for s in streams.values())


def test_streams_are_uncorrelated():
    n = 20_000
    drawn = [torch.randn(n, generator=Seeds(3).generator(name)) for name in STREAMS]
    correlations = torch.corrcoef(torch.stack(drawn)) - torch.eye(len(STREAMS))
    assert float(correlations.abs().max()) < 4 / math.sqrt(n)


def test_drawing_from_one_stream_leaves_the_others_as_they_were():
    before = torch.rand(5, generator=Seeds(0).generator("noise"))
    seeds = Seeds(0)
    torch.rand(100, generator=seeds.generator("data"))
    assert torch.equal(torch.rand(5, generator=seeds.generator("noise")), before)


# Data


def data(x: torch.Tensor) -> Data:
    return Data(x, torch.zeros(len(x)), x, torch.zeros(len(x)), Noise("none", 0.0, 0.0))


def test_the_data_unit_with_known_answers():
    assert data(torch.tensor([[0.0], [2.0]])).unit() == 1.0
    assert data(torch.tensor([[3.0, 4.0], [-3.0, -4.0]])).unit() == 5.0
    corners = torch.tensor([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]])
    assert data(corners).unit() == data(corners + 7).unit() == pytest.approx(math.sqrt(2))
    images = corners.reshape(4, 1, 1, 2)
    assert data(images).unit() == data(corners).unit()


def test_the_data_unit_belongs_to_the_data_set_and_hardly_moves_with_n():
    mnist = load_samples(TaskRef("mnist"))
    few = mnist.data(MnistConfig(n=10, stop="epochs"), Seeds(0)).unit()
    many = mnist.data(MnistConfig(n=4000, stop="epochs"), Seeds(0)).unit()
    assert few == pytest.approx(many, rel=0.02)


@pytest.mark.parametrize("d", [2, 8, 64, 1024])
def test_the_data_unit_of_a_sphere_is_near_one(d: int):
    points = on_sphere(4000, d, torch.Generator().manual_seed(0))
    assert data(points).unit() == pytest.approx(1.0, abs=0.01)


def test_the_content_hash_sees_every_tensor():
    base = Data(
        torch.zeros(3, 2),
        torch.zeros(3),
        torch.zeros(2, 2),
        torch.zeros(2),
        Noise("none", 0.0, 0.0),
    )
    hashes = {base.content_hash()}
    for name in ("x_train", "y_train", "x_test", "y_test"):
        changed = getattr(base, name).clone()
        changed[1] = 1
        hashes.add(dataclasses.replace(base, **{name: changed}).content_hash())
    assert len(hashes) == 5

    other_strides = dataclasses.replace(base, x_train=torch.zeros(2, 3).T)
    assert other_strides.content_hash() == base.content_hash(), "strides do not matter"
