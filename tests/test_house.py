"""What is promised about the repository itself: images, hooks, make targets, dependency
direction.

Run alone: python -m pytest tests/test_house.py
"""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests import ROOT

PACKAGES = ("harness", "tasks", "clusters", "reports")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def imports(path: Path) -> set[str]:
    """Top-level names that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


FLOORS = (
    "errors exit_codes noise process_state",
    "interruption task store",
    "language",
    "sweeps",
    "training",
    "measures",
    "planning",
    "execution terminal",
    "dispatch",
    "run",
    "remeasure",
    "commands",
    "cli",
)
"""The rooms of `harness`, from the ground up. A room imports rooms below its own floor, and
nothing beside or above it."""


def room(module: str) -> str:
    """`harness.store.schema` → store; tasks and reports are rooms of their own."""
    first, *rest = module.split(".")
    return rest[0] if first == "harness" and rest else first


@pytest.mark.slow
def test_rooms_import_only_rooms_below_their_own():
    floor_of = {name: floor for floor, names in enumerate(FLOORS) for name in names.split()}
    for path in sources("harness"):
        here = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        if here == "__init__":
            continue
        for module in imports(path):
            there = room(module)
            if module.split(".")[0] == "harness" and there not in (here, "harness"):
                assert floor_of[there] < floor_of[here], (
                    f"{path.relative_to(ROOT)} imports {module}"
                )


def test_every_room_has_a_floor():
    rooms = {
        room(".".join(p.relative_to(ROOT).with_suffix("").parts)) for p in sources("harness")
    } - {"__init__"}
    assert rooms == {name for names in FLOORS for name in names.split()}


@pytest.mark.slow
def test_only_dispatch_imports_ray():
    for package in PACKAGES:
        for path in sources(package):
            if any(m.split(".")[0] == "ray" for m in imports(path)):
                assert path.parent == ROOT / "harness" / "dispatch", path


@pytest.mark.slow
def test_the_report_stage_imports_of_the_engine_only_what_reads_the_store():
    for path in sources("reports"):
        names = imports(path)
        engine = {m for m in names if m.split(".")[0] == "harness"}
        assert all(m in ("harness", "harness.errors") or room(m) == "store" for m in engine), path
        assert not {
            m for m in names if m.split(".")[0] in ("torch", "ray", "tasks", "transformers")
        }, path


@pytest.mark.parametrize("path", sources("tasks"), ids=lambda p: p.name)
def test_tasks_use_the_contract_and_not_the_engine(path):
    allowed = {"harness.task", "harness.language", "harness.noise", "harness.errors"}
    assert {m for m in imports(path) if m.split(".")[0] == "harness"} <= allowed


def test_every_path_in_the_dockerfile_exists():
    text = (ROOT / "Dockerfile").read_text()
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M)
        for name in line.split()[:-1]
    ]
    assert copied and all((ROOT / name).exists() for name in copied)
    listed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert set(copied) <= listed, "what is copied must not be ignored"
    assert (
        PROJECT["project"]["scripts"]["unilaw"].split(":")[0] == "harness.cli"
        and 'ENTRYPOINT ["unilaw"]' in text
    )
    assert "USER unilaw" in text and text.index("useradd") < text.index("USER unilaw")
    torch = re.search(r"ARG TORCH=(\S+)", text)
    assert torch is not None and torch[1] in (ROOT / "constraints.txt").read_text().splitlines()


def test_every_dependency_is_pinned_and_says_why_it_is_there():
    pinned = {
        re.split("==", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    declared = (
        PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["test"]
    )
    for requirement in declared:
        name = re.split(r"[\[>=]", requirement)[0]
        assert name.lower() in pinned, name
        assert (
            re.search(
                rf'"{re.escape(requirement)}",\s+#|"{re.escape(requirement)}",.*#',
                (ROOT / "pyproject.toml").read_text(),
            )
            or name == "pytest"
        )


def test_hooks_run_offline():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repo["repo"] for repo in hooks["repos"]} == {"local"}
    assert all(hook["language"] == "system" for repo in hooks["repos"] for hook in repo["hooks"])


def test_the_readmes_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`?make (\w+)", (ROOT / "README.md").read_text())) - {"and"}:
        assert re.search(rf"^{target}:", makefile, re.M), target


MAX_LINES = 350
"""Lines that a file may have: more is more than one idea."""


def test_no_file_is_longer_than_one_idea():
    folders = ("harness", "tasks", "clusters", "reports", "tests")
    over = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".j2", ".css", ".js")
        and len(path.read_text().splitlines()) > MAX_LINES
    }
    assert not over
