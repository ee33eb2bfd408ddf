"""A memo that is keyed by what a function reads of a configuration: the same answers, each
computed once.

Run alone: python -m pytest tests/planning/test_field_tracking_cache.py
"""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.planning.field_tracking_cache import FieldTrackingCache
from harness.task import Config, Field, Seeds, Size
from tasks.mnist import MnistConfig


class Toy(Config):
    """Fields of several types, a property and a method."""

    model: str = Field(default="mlp", description="which model")
    width: int = Size(8, description="units")
    capacity: int = Size(1, description="filters")
    depth: int = Field(default=1, description="layers")
    scale: float = Field(default=1.0, description="scale")
    shape: tuple[int, ...] = Field(default=(1, 2), description="shape")

    @property
    def area(self) -> int:
        return self.width * self.depth

    @property
    def scaled(self) -> float:
        return self.area * self.scale

    def units(self) -> int:
        return self.width * self.depth


class Counted:
    """A function that counts its calls."""

    def __init__(self, function: Callable[..., Any]):
        self.function, self.calls = function, 0

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        return self.function(*arguments)


def toys(**fields: list[Any]) -> list[Toy]:
    """Every combination of the fields' values."""
    found: list[dict[str, Any]] = [{}]
    for name, values in fields.items():
        found = [{**given, name: value} for given in found for value in values]
    return [Toy(**given) for given in found]


def calls_for(function: Callable[..., Any], configs: list[Toy]) -> int:
    """Calls that a memo makes for all of the configurations, twice over; its answers are the
    function's."""
    counted = Counted(function)
    memo = FieldTrackingCache(counted)
    for config in [*configs, *reversed(configs)]:
        assert memo(config) == function(config)
    return counted.calls


# over 2 models × 3 widths × 2 capacities × 2 scales
READS: dict[str, tuple[Callable[[Toy], Any], int]] = {
    "nothing": (lambda c: 7, 1),
    "one field": (lambda c: c.width, 3),
    "one field twice": (lambda c: c.width + c.width, 3),
    "two fields": (lambda c: (c.width, c.scale), 6),
    "by name": (lambda c: getattr(c, "width"), 3),  # noqa: B009 - on purpose
    "a field that never differs": (lambda c: c.depth, 1),
    "by the model": (lambda c: (c.model, c.capacity if c.model == "cnn" else c.width), 3 + 2),
    "the other only for large ones": (
        lambda c: (c.width, c.scale if c.width > 4 else None),
        1 + 2 * 2,
    ),
    "a property": (lambda c: c.area, 3),
    "a property of two fields": (lambda c: c.scaled, 6),
    "a method": (lambda c: c.units(), 24),
    "everything": (lambda c: c.model_dump(), 24),
    "a class method": (lambda c: (c.fields_marked("size"), c.width)[1], 24),
    "settings": (lambda c: c.settings()["scale"], 24),
    "a changed copy": (lambda c: c.model_copy(update={"width": 1}), 24),
    "what was set": (lambda c: c.model_fields_set, 24),
}


@pytest.mark.parametrize(("function", "calls"), READS.values(), ids=READS.keys())
def test_called_once_for_each_combination_of_what_it_reads(
    function: Callable[[Toy], Any], calls: int
):
    assert (
        calls_for(
            function,
            toys(model=["mlp", "cnn"], width=[2, 8, 16], capacity=[1, 4], scale=[0.5, 2.0]),
        )
        == calls
    )


BY_OTHER_WAYS: dict[str, Callable[[Any], Any]] = {
    "its text": str,
    "its representation": repr,
    "a formatted text": lambda c: f"{c}",
    "its hash": hash,
    "equality": lambda c: c == Toy(width=8, scale=0.5),
    "equality from the other side": lambda c: Toy(width=8, scale=0.5) == c,
    "its dictionary": lambda c: vars(c)["width"],
    "its fields one by one": lambda c: dict(c)["width"],
    "its class's fields": lambda c: sorted(type(c).model_fields),
    "a cached helper": functools.cache(lambda c: c.width),
}


@pytest.mark.parametrize("function", BY_OTHER_WAYS.values(), ids=BY_OTHER_WAYS.keys())
def test_a_function_that_looks_at_the_configuration_by_other_ways_gets_its_own_answer(
    function: Callable[[Any], Any],
):
    memo = FieldTrackingCache(function)
    for config in toys(width=[2, 8, 16], scale=[0.5, 2.0]) * 2:
        assert memo(config) == function(config)


def test_the_cnn_is_known_by_its_capacity_and_the_mlp_by_its_width():
    counted = Counted(
        lambda c: ("mlp", c.width, c.depth) if c.model == "mlp" else ("cnn", c.capacity)
    )
    memo = FieldTrackingCache(counted)
    mlps = [
        MnistConfig(model="mlp", width=w, n=n, label_flip=0.1) for w in (4, 8) for n in (10, 20, 30)
    ]
    cnns = [
        MnistConfig(model="cnn", capacity=c, n=n, label_flip=0.1)
        for c in (1, 2, 4)
        for n in (10, 20, 30)
    ]
    assert [memo(c) for c in mlps] == [("mlp", w, 1) for w in (4, 4, 4, 8, 8, 8)]
    assert [memo(c) for c in cnns] == [("cnn", c) for c in (1, 1, 1, 2, 2, 2, 4, 4, 4)]
    assert counted.calls == 2 + 3


def test_the_configuration_passes_for_one():
    def function(config: Config) -> str:
        assert (
            isinstance(config, Toy)
            and isinstance(config, Config)
            and not isinstance(config, MnistConfig)
        )
        return "toy" if isinstance(config, Toy) and config.width > 1 else "other"

    assert calls_for(function, toys(width=[2, 8], scale=[0.5, 2.0])) == 2


def test_one_that_needs_the_true_configuration_gets_it_and_reads_everything():
    def function(config: Toy) -> int:
        return Toy.units(config) + (0 if Toy.model_validate(config) is config else 1 // 0)

    def strict(config: Toy) -> int:
        if type(config) is not Toy:
            raise TypeError("not a Toy")
        return config.width

    configs = toys(width=[2, 8], scale=[0.5, 2.0])
    for needs in (strict, lambda c: vars(Toy)["area"].fget(c) + len(type(c).model_fields)):
        memo = FieldTrackingCache(needs)
        assert [memo(c) for c in configs * 2] == [needs(c) for c in configs * 2]
    counted = Counted(strict)
    memo = FieldTrackingCache(counted)
    for config in configs:
        memo(config)
    first = counted.calls
    assert [memo(c) for c in configs] == [
        2,
        2,
        8,
        8,
    ] and counted.calls == first, "known by every field"
    assert FieldTrackingCache(function)(configs[0]) == 2


def test_further_arguments_are_part_of_the_key():
    counted = Counted(lambda c, seed, *more: (c.width, seed, *more))
    memo = FieldTrackingCache(counted)
    for _ in range(2):
        for width in (2, 8):
            assert memo(Toy(width=width), 0) == (width, 0)
            assert memo(Toy(width=width), 1) == (width, 1)
            assert memo(Toy(width=width, scale=0.5), 1, "x") == (width, 1, "x")
    assert counted.calls == 6


def test_the_very_object_comes_back():
    memo = FieldTrackingCache(lambda c, seed: [c.n, seed])
    assert memo(Toy(n=4), 0) is memo(Toy(n=4, lr=0.5), 0)
    assert memo(Toy(n=4), 0) is not memo(Toy(n=4), 1)


def test_nothing_is_an_answer_too():
    counted = Counted(lambda c: None)
    memo = FieldTrackingCache(counted)
    assert memo(Toy()) is None and memo(Toy(width=3)) is None
    assert counted.calls == 1


def test_values_that_are_equal_and_of_different_types_are_kept_apart():
    memo = FieldTrackingCache(lambda c: str(c.scale))
    assert memo(Toy.model_construct(scale=1)) == "1"
    assert memo(Toy.model_construct(scale=1.0)) == "1.0"
    assert memo(Toy.model_construct(scale=True)) == "True"
    shapes = FieldTrackingCache(lambda c: c.shape)
    assert [shapes(Toy(shape=shape)) for shape in ((1, 2), (12,), (), (1, 2))] == [
        (1, 2),
        (12,),
        (),
        (1, 2),
    ]


@pytest.mark.parametrize(
    "error", [ValueError, KeyError, AttributeError, TypeError, SystemExit, KeyboardInterrupt]
)
def test_an_exception_comes_through_and_is_not_remembered(error: type[BaseException]):
    broken = [True]

    def function(config: Toy) -> int:
        if broken and config.width == 2:
            raise error("not now")
        return config.width

    memo = FieldTrackingCache(function)
    assert memo(Toy(width=8)) == 8
    for _ in range(2):
        with pytest.raises(error, match="not now"):
            memo(Toy(width=2))
    broken.clear()
    assert memo(Toy(width=2)) == 2
    assert memo(Toy(width=8)) == 8


def test_one_that_fails_on_some_configurations_alone_is_right_on_all():
    def function(config: Toy) -> Any:
        if config.width > 4 and type(config) is not Toy:
            raise AttributeError
        return (config.width, config.scale if config.width > 4 else None, config.depth)

    configs = toys(scale=[0.5, 2.0], width=[2, 8, 3, 16], depth=[1, 2])
    memo = FieldTrackingCache(function)
    for config in [*configs, *reversed(configs)]:
        assert memo(config) == function(config)


def test_memos_keep_apart_what_two_functions_know():
    width, scale = FieldTrackingCache(lambda c: c.width), FieldTrackingCache(lambda c: c.scale)
    assert (width(Toy(width=3, scale=0.5)), scale(Toy(width=3, scale=0.5))) == (3, 0.5)


def test_seeds_make_a_key():
    memo = FieldTrackingCache(lambda c, seeds: (c.n, seeds.seed))
    assert memo(Toy(n=5), Seeds(3)) == (5, 3) and memo(Toy(n=5), Seeds(4)) == (5, 4)


FIELDS = ("model", "width", "capacity", "depth", "scale")
CONFIGS = st.builds(
    Toy,
    model=st.sampled_from(["mlp", "cnn"]),
    width=st.integers(1, 3),
    capacity=st.integers(1, 2),
    depth=st.integers(1, 2),
    scale=st.sampled_from([0.5, 2.0]),
)
TREES = st.recursive(
    st.sampled_from(["leaf", "units", "dump", "area"]),
    lambda deeper: st.tuples(st.sampled_from(FIELDS), st.lists(deeper, min_size=2, max_size=3)),
    max_leaves=12,
)
"""How to read: a field, and by its value how to go on."""


def follow(tree: Any, config: Any) -> list[Any]:
    """Everything that is read along the way."""
    seen: list[Any] = []
    while not isinstance(tree, str):
        field, branches = tree
        seen.append(getattr(config, field))
        tree = branches[sum(map(ord, repr(seen[-1]))) % len(branches)]
    return [
        *seen,
        (
            {"units": config.units, "dump": config.model_dump, "area": lambda: config.area}[tree]()
            if tree in ("units", "dump", "area")
            else tree
        ),
    ]


@pytest.mark.slow
@given(
    tree=TREES,
    configs=st.lists(CONFIGS, min_size=1, max_size=12),
    more=st.lists(st.integers(0, 2), max_size=2),
)
def test_a_memo_is_its_function_however_that_reads(tree: Any, configs: list[Toy], more: list[int]):
    def function(config: Any, *more: int) -> Any:
        return follow(tree, config), more

    counted = Counted(function)
    memo = FieldTrackingCache(counted)
    answers = [memo(config, *more) for config in configs]
    assert answers == [function(config, *more) for config in configs]
    assert counted.calls <= len({config.model_dump_json() for config in configs})
    before = counted.calls
    assert [memo(config, *more) for config in reversed(configs)] == answers[::-1]
    assert counted.calls == before, "all known by now"
