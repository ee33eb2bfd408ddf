"""What is promised about the repository itself: images, hooks, make targets, dependency direction."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
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


def test_four_files_import_ray():
    users = [p.name for package in PACKAGES for p in sources(package) if any(m.split(".")[0] == "ray" for m in imports(p))]
    assert users == ["dispatch.py", "launch.py", "sharded.py", "worker.py"]


def test_the_report_stage_imports_of_the_engine_only_what_reads_the_store():
    allowed = {"harness", "harness.errors", "harness.folder", "harness.schema", "harness.store"}
    for path in sources("reports"):
        names = imports(path)
        assert {m for m in names if m.split(".")[0] == "harness"} <= allowed, path
        assert not {m for m in names if m.split(".")[0] in ("torch", "ray", "tasks", "transformers")}, path


@pytest.mark.parametrize("path", sources("tasks"), ids=lambda p: p.name)
def test_tasks_use_the_contract_and_not_the_engine(path):
    allowed = {"harness.task", "harness.language", "harness.noise", "harness.errors"}
    assert {m for m in imports(path) if m.split(".")[0] == "harness"} <= allowed


def test_every_path_in_the_dockerfile_exists():
    text = (ROOT / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M) for name in line.split()[:-1]]
    assert copied and all((ROOT / name).exists() for name in copied)
    listed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) <= listed, "what is copied must not be ignored"
    assert PROJECT["project"]["scripts"]["unilaw"].split(":")[0] == "harness.cli" and 'ENTRYPOINT ["unilaw"]' in text
    assert "USER unilaw" in text and text.index("useradd") < text.index("USER unilaw")
    torch = re.search(r"ARG TORCH=(\S+)", text)
    assert torch is not None and torch[1] in (ROOT / "constraints.txt").read_text().splitlines()


def test_the_wheel_holds_the_packages_and_nothing_else():
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(PACKAGES)


def test_every_dependency_is_pinned_and_says_why_it_is_there():
    pinned = {re.split("==", line)[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()}
    declared = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["test"]
    for requirement in declared:
        name = re.split(r"[\[>=]", requirement)[0]
        assert name.lower() in pinned, name
        assert (
            re.search(rf'"{re.escape(requirement)}",\s+#|"{re.escape(requirement)}",.*#', (ROOT / "pyproject.toml").read_text())
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
