"""What every task shares: seed streams, the data unit, content hashes, and fields that say what they are for."""

import dataclasses
import math

import pytest
import torch

from harness.noise import Noise
from harness.registry import BUILT_IN, TaskRef, load
from harness.task import Config, Data, Seeds
from tasks.mnist import MnistConfig
from tasks.sphere import SphereConfig, on_sphere

STREAMS = ("data", "noise", "init", "order", "dropout", "measure", "input_noise", "wander")


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
    assert small.settings() == large.settings() == {k: v for k, v in small.model_dump().items() if k != "width"}
    assert SphereConfig(n=9).settings() != SphereConfig(n=10).settings()


# Seeds


def test_streams_are_distinct_and_depend_on_seed_and_name_alone():
    seeds = [0, 1, 2, 10, 2**63 - 1]
    streams = {(seed, name): Seeds(seed).stream(name) for seed in seeds for name in STREAMS}
    assert len(set(streams.values())) == len(seeds) * len(STREAMS)
    assert all(0 <= s < 2**63 for s in streams.values())


@pytest.mark.parametrize("a", STREAMS)
@pytest.mark.parametrize("b", STREAMS)
def test_streams_are_uncorrelated(a, b):
    n = 20_000
    x, y = (torch.randn(n, generator=Seeds(3).generator(name)) for name in (a, b))
    correlation = float(torch.corrcoef(torch.stack([x, y]))[0, 1])
    assert correlation == pytest.approx(1.0) if a == b else abs(correlation) < 4 / math.sqrt(n)


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
    few, many = (load(TaskRef("mnist")).data(MnistConfig(n=n, stop="epochs"), Seeds(0)).unit() for n in (10, 4000))
    assert few == pytest.approx(many, rel=0.02)


@pytest.mark.parametrize("d", [2, 8, 64, 1024])
def test_the_data_unit_of_a_sphere_is_near_one(d: int):
    assert data(on_sphere(4000, d, torch.Generator().manual_seed(0))).unit() == pytest.approx(1.0, abs=0.01)


def test_the_content_hash_sees_every_tensor():
    base = Data(torch.zeros(3, 2), torch.zeros(3), torch.zeros(2, 2), torch.zeros(2), Noise("none", 0.0, 0.0))
    changed = [
        dataclasses.replace(base, **{name: getattr(base, name).clone().index_fill_(0, torch.tensor([1]), 1)})
        for name in ("x_train", "y_train", "x_test", "y_test")
    ]
    assert len({base.content_hash(), *(c.content_hash() for c in changed)}) == 5
    assert dataclasses.replace(base, x_train=torch.zeros(2, 3).T).content_hash() == base.content_hash(), "strides do not matter"
