"""Valid sweep files: which trials they ask for, and in which order.

Run alone: python -m pytest tests/sweeps/test_sweep.py
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.sweeps.shipped import SHIPPED, locate
from harness.sweeps.sweep import parse_sweep
from tasks.sphere import SphereConfig
from tests.sweeps.expansion import expand


def values(field: str, spec: Any) -> list[Any]:
    """What a sphere task's grid over one field gives."""
    return [
        t.config[field] for t in expand(tasks=[{"task": "sphere", "grid": {field: spec}}]).trials
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "spec", "expected"),
    [
        ("width", [8, 2, 4], [8, 2, 4]),
        ("width", {"range": [2, 5]}, [2, 3, 4]),
        ("width", {"range": [2, 9, 3]}, [2, 5, 8]),
        ("width", {"range": [9, 2, -3]}, [9, 6, 3]),
        ("width", {"geomspace": [4, 1024, 5]}, [4, 16, 64, 256, 1024]),
        ("width", {"geomspace": [1024, 4, 3]}, [1024, 64, 4]),
        ("width", {"geomspace": [1, 4, 9]}, [1, 2, 3, 4]),  # 1 1.19 1.41 1.68 2 2.38 2.83 3.36 4
        ("width", {"geomspace": [10, 1000, 4]}, [10, 46, 215, 1000]),
        ("width", {"geomspace": [7, 7, 3]}, [7]),
        ("width", {"geomspace": [5, 80, 1]}, [5]),
        ("lr", [1, 0.5], [1.0, 0.5]),
        ("lr", {"range": [1, 4]}, [1.0, 2.0, 3.0]),
        ("stop", ["epochs", "interpolate"], ["epochs", "interpolate"]),
    ],
    ids=str,
)
def test_grid_values(field: str, spec: Any, expected: list[Any]):
    assert values(field, spec) == expected


def test_geomspace_over_floats_keeps_its_ends_and_ratio():
    points = values("lr", {"geomspace": [1e-4, 1e-1, 7]})
    assert (points[0], points[-1], len(points)) == (1e-4, 1e-1, 7)
    assert np.diff(np.log10(points)) == pytest.approx(0.5)


@pytest.mark.parametrize("text", ["1e-3", "1E-3", ".001", "0.001", "+1e-3"])
def test_numbers_as_people_write_them(text: str):
    sweep = parse_sweep(
        f"name: a\nseeds: [0]\ntasks:\n  - task: sphere\n    fixed: {{lr: {text}}}\n", "sweep.yaml"
    )
    assert sweep.trials[0].config["lr"] == 0.001


def test_order_is_tasks_then_grid_keys_then_seeds():
    sweep = expand(
        seeds=[5, 3],
        tasks=[
            {"task": "sphere", "grid": {"n": [9, 8], "d": [2, 3]}},
            {"task": "mnist", "fixed": {"stop": "epochs"}},
        ],
    )
    assert [(t.ref.name, t.config["n"], t.config.get("d"), t.seed) for t in sweep.trials] == [
        *[("sphere", n, d, s) for n in (9, 8) for d in (2, 3) for s in (5, 3)],
        *[("mnist", 1000, None, s) for s in (5, 3)],
    ]


def test_seeds_from_a_range():
    assert [t.seed for t in expand(seeds={"range": [3, 6]}, tasks=[{"task": "sphere"}]).trials] == [
        3,
        4,
        5,
    ]


def test_an_entrys_own_seeds_stand_in_place_of_the_sweeps():
    entries = [
        {"task": "sphere", "seeds": [7]},
        {"task": "sphere", "grid": {"n": [8, 9]}},
        {"task": "sphere", "seeds": {"range": [4, 6]}},
    ]
    sweep = expand(seeds=[0, 1], limits={"trials": 7}, tasks=entries)
    assert [(t.config["n"], t.seed) for t in sweep.trials] == [
        (256, 7),
        (8, 0),
        (8, 1),
        (9, 0),
        (9, 1),
        (256, 4),
        (256, 5),
    ]
    overlapping = expand(
        seeds=[0, 1], tasks=[{"task": "sphere", "seeds": [1, 2]}, {"task": "sphere"}]
    )
    assert ([t.seed for t in overlapping.trials], overlapping.repeated) == ([1, 2, 0], 1)


def test_a_trial_carries_every_field_with_its_default():
    (trial,) = expand(tasks=[{"task": "sphere", "fixed": {"d": 7}}]).trials
    assert trial.config == SphereConfig(d=7).plain()
    assert trial.load_config() == SphereConfig(d=7)


def test_repeated_cells_run_once():
    sweep = expand(
        seeds=[0, 1],
        tasks=[
            {"task": "sphere", "grid": {"n": [8, 9]}},
            {"task": "sphere", "grid": {"n": [9, 10]}},
        ],
    )
    assert [t.config["n"] for t in sweep.trials] == [8, 8, 9, 9, 10, 10]
    assert sweep.repeated == 2


def test_store_defaults_to_the_sweeps_name():
    assert expand(tasks=[{"task": "sphere"}]).store == "runs/a"
    assert expand(store="rows/here", tasks=[{"task": "sphere"}]).store == "rows/here"


names = st.sampled_from(["n", "d", "width", "depth", "max_epochs", "batch_size"])


grids = st.dictionaries(
    names, st.lists(st.integers(2, 20), min_size=1, max_size=4, unique=True), max_size=4
)


@pytest.mark.slow
@settings(derandomize=True, max_examples=50, deadline=None)
@given(grid=grids, seeds=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4, unique=True))
def test_a_grid_is_the_product_of_its_lists_with_distinct_ids(
    grid: dict[str, list[int]], seeds: list[int]
):
    sweep = expand(seeds=seeds, tasks=[{"task": "sphere", "grid": grid}])
    cells = {(*(t.config[k] for k in grid), t.seed) for t in sweep.trials}
    assert (
        len(sweep.trials)
        == len(cells)
        == len(seeds) * int(np.prod([len(v) for v in grid.values()]))
    )
    assert len({t.trial_id for t in sweep.trials}) == len(cells)
    assert sweep.repeated == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    # tests/tasks/pretrained/test_ladder.py has models for the other one
    sorted(p for p in SHIPPED.glob("*.yaml") if p.stem != "pretrained-ladder"),
    ids=lambda p: p.stem,
)
def test_shipped_sweeps_parse_and_are_named_as_their_file(path: Path, hub: None):
    sweep = parse_sweep(path.read_text(), path.name)
    assert sweep.trials and sweep.repeated == 0
    assert sweep.name == path.stem == locate(path.stem).stem


def test_a_file_in_the_folder_comes_before_a_shipped_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert locate("quickstart") == SHIPPED / "quickstart.yaml"
    Path("quickstart").write_text("")
    assert locate("quickstart") == Path("quickstart")
