"""The README's task is run exactly as it stands there, from a folder that holds namesakes of our
packages.

python -m tests.test_readme     # writes its table of columns anew from the schema
"""

import re

import pandas as pd

from harness.store.schema import COLUMNS
from tests import ROOT

README = (ROOT / "README.md").read_text()


def block(name: str) -> str:
    """The text between the README's `name:begin` and `name:end` marks, without its fence or
    indent."""
    found = re.search(rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", README, re.S)
    assert found is not None, name
    lines = [line for line in found[1].splitlines() if not line.startswith("```")]
    return (
        "\n".join(line.removeprefix("    ") for line in lines)
        if name == "commands"
        else "\n".join(lines) + "\n"
    )


def test_the_readmes_task_runs_and_shows_in_the_report(tmp_path, unilaw):
    for namesake in ("tasks", "harness", "reports", "clusters"):
        (tmp_path / namesake).mkdir()
        (tmp_path / namesake / "__init__.py").write_text(
            "raise RuntimeError('the user’s own package was imported')\n"
        )
    task = block("task")
    assert len(task.splitlines()) <= 40
    (tmp_path / "shell.py").write_text(task)
    (tmp_path / "shell.yaml").write_text(block("sweep"))
    commands = block("commands").splitlines()
    assert len(commands) == 2
    for command in commands:
        program, *arguments = command.split()
        done = unilaw(*arguments, cwd=tmp_path)
        assert (program, done.returncode) == ("unilaw", 0), done.stderr
    rows = pd.read_parquet(tmp_path / "runs" / "shell")
    assert len(rows) == 12 and rows["status"].eq("ok").all() and rows["below_noise"].all()
    html = (tmp_path / "runs" / "shell" / "_report.html").read_text()
    assert "shell, ±1 target, 20 % flipped" in html and all(
        trial in html for trial in rows["trial_id"]
    )


def test_the_readme_names_only_sweeps_and_commands_that_exist(tmp_path, unilaw):
    shipped = {p.stem for p in (ROOT / "tasks" / "sweeps").glob("*.yaml")}
    listed = re.search(r"a shipped one: (.*?)\. A sweep", README, re.S)
    assert listed is not None
    assert set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)*)`", listed[1])) == shipped
    known = unilaw("--help", cwd=tmp_path).stdout
    for command in re.findall(r"^    unilaw (\w+)", README, re.M):
        assert re.search(rf"\b{command}\b", known), command


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def columns_table() -> str:
    """Every column that a trial measures, as a table in Markdown."""
    lines = ["| column | unit | is | meaning |", "|---|---|---|---|"]
    lines += [f"| `{c.name}` | {c.unit} | {c.bound} | {c.meaning} |" for c in COLUMNS]
    return "\n".join(lines).strip() + "\n"


def test_the_readme_lists_every_column_as_the_schema_has_it():
    assert block("columns").strip() == columns_table().strip(), (
        "python -m tests.test_readme writes it anew"
    )


if __name__ == "__main__":
    marks = re.compile(r"(<!-- columns:begin -->\n).*?(<!-- columns:end -->)", re.S)
    (ROOT / "README.md").write_text(
        marks.sub(lambda found: found[1] + "\n" + columns_table() + "\n" + found[2], README)
    )
