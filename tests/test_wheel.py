"""The wheel holds the packages, whole, and nothing else. Installed, `import unilaw` loads nothing
heavy and the command answers.

Run alone: python -m pytest tests/test_wheel.py
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import harness
from tests import ROOT
from tests.test_house import PACKAGES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return zipfile.ZipFile(built)


def test_it_holds_the_packages_and_nothing_else(wheel: zipfile.ZipFile):
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(
        [*command, "--", "unilaw.py", *PACKAGES], cwd=ROOT, capture_output=True, text=True
    ).stdout.split("\0")
    expected = {name for name in listed if name and (ROOT / name).exists()}
    assert {"unilaw.py", "clusters/README.md", "tasks/sweeps/quickstart.yaml"} <= expected

    of_package = f"unilaw-{harness.__version__}.dist-info"
    assert {name for name in wheel.namelist() if not name.startswith(of_package)} == expected
    scripts = wheel.read(f"{of_package}/entry_points.txt").decode()
    assert "unilaw = harness.cli:main" in scripts


def test_installed_it_imports_nothing_heavy_and_the_command_answers(
    wheel: zipfile.ZipFile, tmp_path: Path
):
    wheel.extractall(tmp_path / "installed")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}

    def python(*arguments: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    heavy = "{'torch', 'ray', 'pandas', 'numpy', 'pyarrow', 'typer'}"
    code = f"import sys, unilaw; print(unilaw.__file__); print({heavy} & set(sys.modules))"
    assert python("-c", code) == [str(tmp_path / "installed" / "unilaw.py"), "set()"]
    assert "Usage: " in python("-m", "unilaw", "--help")[0]
