"""The columns of a data set are in the schema, are computed once, and are computed anew when an
input changes but not when labels do.

Run alone: python -m pytest tests/measures/test_dataset.py
"""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from harness.measures import dataset
from harness.measures.dataset import POINTS, dataset_file, describe, drawn_inputs
from harness.measures.dimension import dimension
from harness.measures.geometry import pair_distances
from harness.noise import Noise
from harness.store.schema import arrow_schema
from harness.task import Data, Seeds
from tasks.sphere import Sphere, SphereConfig


def made(n: int = 60, m: int = 40, shape: tuple[int, ...] = (3,), seed: int = 0) -> Data:
    draw = torch.Generator().manual_seed(seed)
    x, y = (
        torch.randn(n + m, *shape, generator=draw),
        torch.randint(2, (n + m,), generator=draw) * 2.0 - 1,
    )
    return Data(x[:n], y[:n], x[n:], y[n:], Noise("none", 0.0, 0.0, sigma2=0.0))


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Empty the memory and the cache, and return a list that gets the number of inputs at every
    computation."""
    calls: list[int] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(dataset, "_described", {})
    monkeypatch.setattr(dataset, "dimension", lambda x: calls.append(len(x)) or dimension(x))
    return calls


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that empties the memory but keeps the files, as for another process."""
    return lambda: monkeypatch.setattr(dataset, "_described", {})


def files() -> list[Path]:
    return sorted(dataset_file("any").parent.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3,), (1, 4, 4), (1,)], ids=str)
def test_the_columns_are_those_of_the_schema(worked: list[int], shape: tuple[int, ...]):
    data = made(shape=shape)
    found = describe(data)
    schema = arrow_schema()
    assert set(found) == {
        name for name in schema.names if name.startswith(("d_", "pair_distance_", "isoperimetry_"))
    } - {"d_ambient", "isoperimetry_c_within"}

    pa.Table.from_pylist(
        [found], schema=pa.schema([schema.field(name) for name in found])
    ).validate(full=True)
    x = torch.cat([data.x_train, data.x_test])

    assert found["d_points"] == len(x) == 100
    assert found["pair_distance_mean"] == pytest.approx(
        pair_distances(x, data.unit()).pair_distance_mean
    )
    assert found["d_mle"] == pytest.approx(dimension(x).d_mle)


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 3, 6])
def test_the_sphere_task(worked: list[int], d: int):
    """On S^(d−1) two inputs are about √2 units apart, and less in fewer dimensions (4/π on the
    circle)."""
    config = SphereConfig(n=256, d=d)
    found = describe(Sphere().data(config, Seeds(0)))
    assert found["d_points"] == POINTS
    assert found["d_participation"] == pytest.approx(d, rel=0.03)
    assert found["d_mle"] == pytest.approx(d - 1, rel=0.1)
    assert found["d_twonn"] == pytest.approx(d - 1, rel=0.2)
    mean = {2: 4 / math.pi, 3: 4 / 3, 6: 1.3815}[d]
    assert found["pair_distance_mean"] == pytest.approx(mean, rel=0.01)


@pytest.mark.parametrize(("n", "m"), [(60, 40), (2000, 40), (40, 2000), (1, 1), (2, 1)])
def test_the_drawn_inputs_are_different_inputs_of_the_data_set(n: int, m: int):
    data = made(n, m)
    drawn = drawn_inputs(data)
    rows, whole = (
        {tuple(row) for row in x.tolist()} for x in (drawn, torch.cat([data.x_train, data.x_test]))
    )
    assert drawn.shape == (min(n + m, POINTS), 3)
    assert rows <= whole and len(rows) == len(drawn)
    assert torch.equal(drawn, drawn_inputs(data))


def test_the_draw_takes_from_both_sets_in_proportion():
    data = made(3000, 1000)
    data.x_train[:, 0] = 0
    held_out = int((drawn_inputs(data)[:, 0] != 0).sum())
    assert abs(held_out - 250) < 4 * math.sqrt(1000 * 0.25 * 0.75)


@pytest.mark.slow
def test_a_data_set_is_described_once(worked: list[int], forget: Callable[[], None]):
    first = describe(made())
    assert describe(made()) == first and worked == [100], "from memory"
    assert len(files()) == 1
    forget()
    assert describe(made()) == first and worked == [100], "from the file"
    files()[0].unlink()
    assert describe(made()) == first and worked == [100], "from memory once more"
    forget()
    assert describe(made()) == first and worked == [100, 100]


def test_missing_numbers_are_kept_too(worked: list[int], forget: Callable[[], None]):
    data = made(2, 1)
    first = describe(data)
    forget()
    again = describe(data)
    assert worked == [3] and list(first) == list(again)
    np.testing.assert_equal(again, first)
    assert math.isnan(first["d_twonn"])


def test_a_caller_may_change_what_it_got(worked: list[int]):
    describe(made()).clear()
    assert describe(made())["d_points"] == 100


def test_labels_and_kind_of_target_do_not_matter(worked: list[int]):
    data = made()
    noise = Noise("label_flip", 0.2, 0.2, sigma2=0.64)
    first = describe(data)
    assert (
        describe(dataclasses.replace(data, y_train=-data.y_train, y_test=-data.y_test, noise=noise))
        == first
    )
    assert (
        describe(dataclasses.replace(data, y_train=torch.zeros(60, dtype=torch.int64), classes=2))
        == first
    )
    assert worked == [100]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["x_train", "x_test"])
@pytest.mark.parametrize("change", [1e-4, 1.0])
def test_a_change_of_any_input_is_noticed(worked: list[int], part: str, change: float):
    describe(made())
    for row in (0, 1, -1):
        data = made()
        getattr(data, part)[row, 0] += change
        describe(data)
    assert worked == [100] * 4


@pytest.mark.slow
@pytest.mark.parametrize("n", [2000, 3000])
def test_a_change_of_an_input_that_was_not_drawn_shows_in_the_unit(worked: list[int], n: int):
    one, other = made(n, 40), made(n, 40)
    drawn = {tuple(row) for row in drawn_inputs(one).tolist()}
    left_out = next(i for i, row in enumerate(one.x_train.tolist()) if tuple(row) not in drawn)
    other.x_train[left_out] *= 10
    before, after = describe(one), describe(other)

    assert worked == [POINTS] * 2
    assert before["d_mle"] == after["d_mle"]
    assert after["pair_distance_mean"] / before["pair_distance_mean"] == pytest.approx(
        one.unit() / other.unit()
    )
    assert one.unit() != other.unit()


OTHERS = {
    "another seed": lambda: made(seed=1),
    "fewer": lambda: made(59, 40),
    "another shape of the same numbers": lambda: dataclasses.replace(
        made(shape=(4,)),
        x_train=made(shape=(4,)).x_train.reshape(60, 2, 2),
        x_test=made(shape=(4,)).x_test.reshape(40, 2, 2),
    ),
    "float64": lambda: dataclasses.replace(
        made(), x_train=made().x_train.double(), x_test=made().x_test.double()
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_other_inputs_are_other_data_sets(worked: list[int], other: Callable[[], Data]):
    for data in (made(), made(shape=(4,)), other()):
        describe(data)
    assert len(worked) == len(files()) == 3


def test_the_same_inputs_split_differently_are_the_same_data_set(worked: list[int]):
    assert describe(made(60, 40)) == describe(made(30, 70))
    assert worked == [100]


@pytest.mark.parametrize("what", ["version", "library"])
def test_another_version_of_the_code_is_another_file(
    worked: list[int], forget: Callable[[], None], what: str, monkeypatch: pytest.MonkeyPatch
):
    describe(made())
    if what == "version":
        monkeypatch.setattr(dataset, "DATASET_VERSION", dataset.DATASET_VERSION + 1)
    else:
        monkeypatch.setattr(dataset, "version", lambda _: "99")
    describe(made())
    forget()
    describe(made())
    assert worked == [100, 100] and len(files()) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", '{"d_points": 3}', "\x00", "\udcff", "half", "short list"]
)
def test_a_damaged_file_is_made_anew(worked: list[int], forget: Callable[[], None], content: str):
    first = describe(made())
    whole = files()[0].read_text()
    if content == "half":
        content = whole[: len(whole) // 2]
    elif content == "short list":
        content = json.dumps({**json.loads(whole), "pair_distance_quantiles": [1.0]})
    files()[0].write_bytes(content.encode("utf-8", "surrogateescape"))
    forget()

    assert describe(made()) == first and worked == [100, 100]
    assert [path.read_text() for path in files()] == [whole]


def test_a_home_that_cannot_be_written_is_no_obstacle(
    worked: list[int], forget: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    first = describe(made())
    assert describe(made()) == first and worked == [100], "from memory"
    forget()
    assert describe(made()) == first and worked == [100, 100]


def test_a_user_without_a_home_is_no_obstacle(worked: list[int], monkeypatch: pytest.MonkeyPatch):
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert describe(made())["d_points"] == 100


def test_identical_inputs(worked: list[int]):
    data = dataclasses.replace(made(), x_train=torch.zeros(60, 3), x_test=torch.zeros(40, 3))
    found = describe(data)
    assert found["d_points"] == 100
    assert all(
        math.isnan(found[name])
        for name in ("d_participation", "d_twonn", "d_mle", "pair_distance_mean")
    )
