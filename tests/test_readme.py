"""The examples in the README and in docs/ run exactly as they stand there.

.venv/bin/python -m pytest tests/test_readme.py
python -m tests.test_readme     # writes the table of docs/columns.md anew from the schema

Run alone: python -m pytest tests/test_readme.py
"""

import contextlib
import io
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from harness.store.schema import COLUMNS
from tests import ROOT

README = (ROOT / "README.md").read_text()
COLUMNS_PAGE = ROOT / "docs" / "columns.md"
TASK_PAGE = (ROOT / "docs" / "adding-a-task.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def block(page: str, name: str) -> str:
    """Return the text between the page's `name:begin` and `name:end` marks, without its fence."""
    found = re.search(rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", page, re.S)
    assert found is not None, name
    lines = [line for line in found[1].splitlines() if not line.startswith("```")]
    return "\n".join(lines) + "\n"


def without_code(page: str) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page, flags=re.M | re.S)


def table(text: str) -> pd.DataFrame:
    """Return a printed table of numbers, indexed by its first column."""
    header, _, *rows = text.strip("\n").splitlines()
    numbers = [[float(cell) for cell in row.split()] for row in rows]
    return pd.DataFrame(
        [row[1:] for row in numbers],
        index=[row[0] for row in numbers],
        columns=header.split(),
    )


@pytest.mark.slow
def test_the_readmes_ten_lines_print_what_it_says(tmp_path, unilaw_here, monkeypatch):
    (tmp_path / "first.yaml").write_text(block(README, "first"))
    done = unilaw_here("run", "first.yaml", "--inline", cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block(README, "table"), {})

    # Two runs into one store may overlap: each trial has two rows then, and still counts once.
    for part in (tmp_path / "runs" / "first").glob("part-*.parquet"):
        shutil.copy(part, part.with_name(f"part-{part.stem[5:]}-again.parquet"))
    printed_again = io.StringIO()
    with contextlib.redirect_stdout(printed_again):
        exec(block(README, "table").replace("print(", "assert len(rows) == 8\nprint("), {})
    assert printed_again.getvalue() == printed.getvalue()

    # Another kind of processor rounds otherwise, which long training amplifies.
    stated = table(block(README, "output"))
    pd.testing.assert_frame_equal(table(printed.getvalue()), stated, rtol=0.15, atol=0.03)


def follow_the_guide(folder: Path, command, *how: str) -> None:
    """Write the guide's two files into the folder, give its two commands, and check what they
    leave. `how` goes to `unilaw run` as well, and few points are measured then."""
    task = block(TASK_PAGE, "task")
    assert len(task.splitlines()) <= 40
    (folder / "shell.py").write_text(task)
    few_points = "limits: {measure_points: 8}\n" if how else ""
    (folder / "shell.yaml").write_text(block(TASK_PAGE, "sweep") + few_points)

    run, report = [line.split() for line in block(TASK_PAGE, "commands").splitlines()]
    assert (run[:2], report[:2]) == (["unilaw", "run"], ["unilaw", "report"])
    for _, *arguments in ([*run, *how], report):
        done = command(*arguments, cwd=folder)
        assert done.returncode == 0, done.stderr

    rows = pd.read_parquet(folder / "runs" / "shell")
    assert len(rows) == 12 and rows["status"].eq("ok").all() and rows["below_noise"].all()
    html = (folder / "runs" / "shell" / "_report.html").read_text()
    assert "shell, ±1 target, 20 % flipped" in html
    assert all(trial in html for trial in rows["trial_id"])


@pytest.mark.slow
def test_the_guides_task_runs_and_shows_in_the_report(tmp_path, unilaw_here):
    follow_the_guide(tmp_path, unilaw_here, "--inline")


@pytest.mark.soak
def test_the_guides_commands_work_beside_namesakes_of_our_packages(tmp_path, unilaw):
    for namesake in ("tasks", "harness", "reports", "clusters"):
        (tmp_path / namesake).mkdir()
        (tmp_path / namesake / "__init__.py").write_text(
            "raise RuntimeError('the user’s own package was imported')\n"
        )
    follow_the_guide(tmp_path, unilaw)


def test_the_readme_names_only_sweeps_and_commands_that_exist(tmp_path, unilaw_here):
    shipped = {p.stem for p in (ROOT / "tasks" / "sweeps").glob("*.yaml")}
    named = set(re.findall(r"unilaw (?:run|plan|launch) +([a-z][a-z0-9-]+)(?![\w.-])", README))
    assert len(named) > 4 and named <= shipped

    known = unilaw_here("--help", cwd=tmp_path).stdout
    for command in re.findall(r"^    unilaw ([\w-]+)", README, re.M):
        assert re.search(rf"\b{command}\b", known), command


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 130


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\((?!http)([^)#]+)", without_code(page.read_text())):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_the_pages_name_exist(page: Path):
    named = re.findall(r"`((?:harness|tasks|reports|clusters|tests)/[\w/.-]*)`", page.read_text())
    for name in named:
        assert (ROOT / name).exists(), name


def columns_table() -> str:
    """Return every column that a trial reports, as a table in Markdown."""
    lines = ["| column | unit | is | meaning |", "|---|---|---|---|"]
    lines += [f"| `{c.name}` | {c.unit} | {c.bound} | {c.meaning} |" for c in COLUMNS]
    return "\n".join(lines).strip() + "\n"


def test_the_columns_page_lists_every_column_as_the_schema_has_it():
    stated = block(COLUMNS_PAGE.read_text(), "columns").strip()
    assert stated == columns_table().strip(), "python -m tests.test_readme writes it anew"


if __name__ == "__main__":
    marks = re.compile(r"(<!-- columns:begin -->\n).*?(<!-- columns:end -->)", re.S)
    written = marks.sub(
        lambda found: found[1] + "\n" + columns_table() + "\n" + found[2],
        COLUMNS_PAGE.read_text(),
    )
    COLUMNS_PAGE.write_text(written)
