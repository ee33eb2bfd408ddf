"""What a trial's identity covers, and what it does not.

Run alone: python -m pytest tests/sweeps/test_identity.py
"""

import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import UserError
from harness.sweeps.registry import TaskRef
from harness.sweeps.shipped import SHIPPED
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import make_trial
from tasks.digits import IDX_FILES, load_digits
from tasks.mnist import Mnist, MnistConfig
from tasks.sphere import Sphere, SphereConfig
from tests.sweeps.expansion import expand

BASE: dict[str, Any] = {"tasks": [{"task": "sphere", "fixed": {"n": 8, "d": 3, "width": 2}}]}


def ids(**file: Any) -> list[str]:
    return [t.trial_id for t in expand(**{**BASE, **file}).trials]


@pytest.mark.slow
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
    "optimiser": "sgd",
    "momentum": 0.8,
    "weight_decay": 0.1,
    "warmup_steps": 5,
    "init_scale": 0.5,
    "check_every": 2,
    "adversary": "pgd",
    "adversary_radius": 0.1,
    "adversary_norm": "l2",
    "adversary_steps": 2,
    "adversary_step_size": 0.05,
    "frontier": "penalty",
    "search_seed": 3,
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
    "optimiser": "sgd",
    "momentum": 0.8,
    "weight_decay": 0.1,
    "warmup_steps": 5,
    "init_scale": 0.5,
    "check_every": 2,
    "adversary": "pgd",
    "adversary_radius": 0.1,
    "adversary_norm": "l2",
    "adversary_steps": 2,
    "adversary_step_size": 0.05,
    "frontier": "penalty",
    "search_seed": 3,
    "pixels": 7,
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


@pytest.mark.slow
def test_other_digits_are_another_trial(tmp_path: Path):
    folder = write_idx(tmp_path / "digits")
    base = Mnist().fingerprint(MnistConfig(stop="epochs", source=f"idx:{folder}"))
    labels = folder / IDX_FILES[1]
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x00")
    load_digits.cache_clear()
    assert Mnist().fingerprint(MnistConfig(stop="epochs", source=f"idx:{folder}")) != base


@pytest.mark.slow
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
