"""Valid sweep files: which trials they ask for, in which order, and what a trial's identity does
and does not cover."""

import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.sweeps.registry import TaskRef
from harness.sweeps.sweep import SHIPPED, locate, parse_sweep
from harness.sweeps.trial import make_trial
from tasks.digits import IDX_FILES, load_digits
from tasks.mnist import Mnist, MnistConfig
from tasks.sphere import Sphere, SphereConfig


def expand(**file: Any):
    """The sweep of a file given as plain values."""
    return parse_sweep(
        yaml.safe_dump({"name": "a", "seeds": [0], **file}, sort_keys=False), "sweep.yaml"
    )


def values(field: str, spec: Any) -> list[Any]:
    """What a sphere task's grid over one field gives."""
    return [
        t.config[field] for t in expand(tasks=[{"task": "sphere", "grid": {field: spec}}]).trials
    ]


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


@settings(derandomize=True, max_examples=100, deadline=None)
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


# Identity


BASE: dict[str, Any] = {"tasks": [{"task": "sphere", "fixed": {"n": 8, "d": 3, "width": 2}}]}


def ids(**file: Any) -> list[str]:
    return [t.trial_id for t in expand(**{**BASE, **file}).trials]


@pytest.mark.parametrize(
    "file",
    [
        {"name": "b"},
        {"description": "another"},
        {"store": "elsewhere"},
        {"resources": {"cpus": 4, "gpus": 0.5, "memory_gb": 3}},
        {
            "limits": {
                "seconds_per_trial": 1,
                "attempts": 5,
                "trials": 7,
                "measure_points": 9,
                "weights_mb": 0,
            }
        },
        {"tasks": [{"task": "sphere", "fixed": {"width": 2, "d": 3, "n": 8}}]},
        {"tasks": [{"task": "sphere", "fixed": {"width": 2, "d": 3}, "grid": {"n": [8]}}]},
        {
            "tasks": [
                {
                    "task": "sphere",
                    "fixed": {"width": 2, "d": 3, "n": 8, "depth": 1, "lr": 0.003, "noise": 1},
                }
            ]
        },
    ],
    ids=[
        "name",
        "description",
        "store",
        "resources",
        "limits",
        "key-order",
        "grid-or-fixed",
        "defaults-written-out",
    ],
)
def test_identity_leaves_out_what_does_not_train(file: dict[str, Any]):
    assert ids(**file) == ids()


OTHER_SPHERE = {
    "n": 9,
    "d": 4,
    "noise": 0.5,
    "width": 3,
    "depth": 2,
    "stop": "interpolate",
    "max_epochs": 501,
    "batch_size": 65,
    "lr": 0.004,
    "adversary": "pgd",
    "adversary_radius": 0.1,
    "adversary_steps": 2,
    "adversary_step_size": 0.05,
}
OTHER_MNIST = {
    "n": 20,
    "head": "digits",
    "label_flip": 0.1,
    "label_resample": 0.1,
    "model": "cnn",
    "width": 3,
    "depth": 2,
    "capacity": 2,
    "stop": "interpolate",
    "max_epochs": 501,
    "batch_size": 65,
    "lr": 0.004,
    "adversary": "pgd",
    "adversary_radius": 0.1,
    "adversary_steps": 2,
    "adversary_step_size": 0.05,
}


@pytest.mark.parametrize(
    ("config", "others"),
    [(SphereConfig, OTHER_SPHERE), (MnistConfig, OTHER_MNIST)],
    ids=["sphere", "mnist"],
)
def test_identity_covers_every_field_but_the_source(config: Any, others: dict[str, Any]):
    assert others.keys() | config.fields_marked("source") == config.model_fields.keys(), (
        "a new field needs a value here"
    )
    ref, base = TaskRef("sphere" if config is SphereConfig else "mnist"), config.model_construct()
    changed = [
        make_trial(ref, base.model_copy(update={k: v}), 0).trial_id for k, v in others.items()
    ]
    assert len({make_trial(ref, base, 0).trial_id, *changed}) == len(others) + 1


def test_identity_covers_seed_task_and_version(monkeypatch: pytest.MonkeyPatch):
    base = ids()
    assert ids(seeds=[1]) != base
    assert [
        t.trial_id
        for t in expand(tasks=[{"task": "mnist", "fixed": {"n": 10, "stop": "epochs"}}]).trials
    ] != base
    monkeypatch.setattr(Sphere, "version", 2)
    assert ids() != base


def test_identity_covers_a_task_files_source():
    config = SphereConfig(n=8)
    source = Path(Sphere.__module__.replace(".", "/") + ".py")
    text = (SHIPPED.parent.parent / source).read_text().replace('name = "sphere"', 'name = "ball"')
    made = [
        make_trial(TaskRef("ball", file, source), config, 0).trial_id
        for file, source in [("x.py", text), ("y.py", text)]
    ]
    edited = make_trial(TaskRef("ball", "x.py", text + "# a comment\n"), config, 0).trial_id
    assert made[0] == made[1], "the name of the file does not matter"
    assert edited != made[0]


def write_idx(folder: Path) -> Path:
    """The packaged digits as a folder of IDX files."""
    digits = load_digits("mnist-5k")
    folder.mkdir()
    for name, part in zip(IDX_FILES, digits[:4], strict=True):
        array = part.numpy().astype(np.uint8)
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (folder / name).write_bytes(header + array.tobytes())
    return folder


def test_the_same_digits_from_another_place_are_the_same_trial(tmp_path: Path):
    first = write_idx(tmp_path / "here")
    shutil.copytree(first, tmp_path / "there")
    made = [
        make_trial(TaskRef("mnist"), MnistConfig(stop="epochs", source=source), 0).trial_id
        for source in ("mnist-5k", f"idx:{first}", f"idx:{tmp_path / 'there'}")
    ]
    assert made[0] == made[1] == made[2]


def test_other_digits_are_another_trial(tmp_path: Path):
    folder = write_idx(tmp_path / "digits")
    base = Mnist().fingerprint(MnistConfig(stop="epochs", source=f"idx:{folder}"))
    labels = folder / IDX_FILES[1]
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x00")
    load_digits.cache_clear()
    assert Mnist().fingerprint(MnistConfig(stop="epochs", source=f"idx:{folder}")) != base


def test_more_digits_than_a_folder_holds_are_refused_at_the_sources_line(tmp_path: Path):
    folder = write_idx(tmp_path / "digits")
    text = (
        "name: a\nseeds: [0]\ntasks:\n  - task: mnist\n    fixed:\n      stop: epochs\n     "
        f" source: idx:{folder}\n      n: 4001\n"
    )
    with pytest.raises(UserError) as refused:
        parse_sweep(text, "sweep.yaml")
    assert (
        str(refused.value)
        == f"sweep.yaml:7: source 'idx:{folder}' has 4000 training digits and n is 4001"
    )
    assert len(parse_sweep(text.replace("4001", "4000"), "sweep.yaml").trials) == 1


# Shipped sweeps


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda p: p.stem)
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
