"""Modules that lie in the current folder, as in a store from somebody else, are imported neither by
the driver nor by Ray's workers. A user's own task file in that folder works.

Run alone: python -m pytest tests/security/test_planted_modules.py
"""

from pathlib import Path

import pytest

from harness.store.store import Store

pytestmark = [pytest.mark.ray, pytest.mark.slow]

PLANTED = (
    *("harness", "tasks", "clusters", "reports"),
    *("pydantic", "pydantic_core", "torch", "numpy", "pandas", "pyarrow", "yaml", "safetensors"),
    *(
        "scipy",
        "skdim",
        "rich",
        "typer",
        "msgpack",
        "psutil",
        "packaging",
        "uvloop",
        "setproctitle",
    ),
    *("json", "random", "secrets", "statistics", "sitecustomize", "usercustomize", "conftest"),
)
"""Modules that the driver or a worker imports, looks for, or could."""

PLANT = """
from pathlib import Path

with Path(__file__).with_name("IMPORTED").open("a") as file:
    file.write(__name__ + "\\n")
raise RuntimeError("a module of the current folder was imported")
"""

TASK = """
from harness.task import Size
from tasks.sphere import Sphere


class Mine(Sphere):
    name = "mine"
"""

SWEEP = """
name: mine
seeds: [0]
tasks:
  - task: mine
    fixed: {n: 32, d: 4, max_epochs: 5}
    grid: {width: [4, 8]}
limits: {measure_points: 8}
"""


@pytest.mark.soak
def test_no_module_of_the_current_folder_is_imported(tmp_path: Path, unilaw):
    """The store is the current folder, as whoever unpacks one and looks at it would have it."""
    for name in PLANTED:
        (tmp_path / f"{name}.py").write_text(PLANT)
    (tmp_path / "mine.py").write_text(TASK)
    (tmp_path / "mine.yaml").write_text(SWEEP)

    run = unilaw("run", "mine.yaml", "--task-file", "mine.py", "--store", "s", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert not (tmp_path / "IMPORTED").exists(), (tmp_path / "IMPORTED").read_text()

    for path in tmp_path.glob("*.py"):
        path.rename(tmp_path / "s" / path.name)
    for how in ([], ["--inline"]):
        again = unilaw(
            "measure", ".", "--again", "--task-file", "mine.py", *how, cwd=tmp_path / "s"
        )
        assert again.returncode == 0, again.stderr
        assert "2 measured, 0 not" in again.stdout
    assert not (tmp_path / "s" / "IMPORTED").exists(), (tmp_path / "s" / "IMPORTED").read_text()

    rows = Store.open(tmp_path / "s").read().rows
    assert len(rows) == 6 and rows["status"].eq("ok").all()
    assert rows["ray_version"].notna().any()
