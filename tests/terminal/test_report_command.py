"""`unilaw report` and `unilaw run --from` at the prompt: from rows to a page, and from the page to
the same rows again.

Run alone: python -m pytest tests/terminal/test_report_command.py
"""

from pathlib import Path

import pandas as pd
import pytest

from harness.store.store import Store
from tests.conftest import Command

SWEEP = """\
name: small
seeds: [0]
store: mine
limits: {measure_points: 8}
tasks:
  - task: sphere
    fixed: {n: 16, d: 3, max_epochs: 2, stop: epochs}
    grid: {width: [2, 4]}
"""

STABILITY = "stability_attack_mean"


@pytest.mark.slow
def test_a_page_is_enough_to_run_its_trials_again(unilaw_here: Command, tmp_path: Path):
    (tmp_path / "small.yaml").write_text(SWEEP)
    assert unilaw_here("run", "small.yaml", "--inline", cwd=tmp_path).returncode == 0
    assert unilaw_here("report", "mine", "-o", "page.html", cwd=tmp_path).returncode == 0

    again = unilaw_here("run", "--from", "page.html", "--inline", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("2 ok, 0 failed") and "runs/from-page/small" in again.stdout
    first, second = (
        pd.read_parquet(tmp_path / store).set_index("trial_id")[STABILITY]
        for store in ("mine", "runs/from-page/small")
    )
    assert first.to_dict() == second.to_dict()

    table = unilaw_here("report", "mine", "--format", "csv", "--where", "width>2", cwd=tmp_path)
    (line,) = table.stdout.strip().splitlines()[1:]
    assert line[:16] in first.index and "report:" not in table.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("report", "nowhere", "-o", "x.pdf"), "unilaw: the report 'x.pdf' would be .pdf"),
        (("report", "nowhere", "--where", "lr"), "unilaw: --where 'lr': must be FIELD=VALUE"),
        (("report", "nowhere", "--compare"), "unilaw: --compare needs two stores, not 1"),
        (("run",), "unilaw: Missing argument 'SWEEP'"),
        (("run", "--from", "nowhere.html"), "unilaw: --from nowhere.html: cannot be read"),
        (("run", "small.yaml", "--read-sources"), "unilaw: --read-sources goes with --from"),
    ],
)
def test_a_mistake_is_one_sentence(
    unilaw_here: Command, tmp_path: Path, arguments: tuple[str, ...], words: str
):
    done = unilaw_here(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(words) and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command_that_fills_an_empty_store_can_be_copied(unilaw_here: Command, tmp_path: Path):
    Store.create(tmp_path / "my rows")
    done = unilaw_here("report", "my rows", cwd=tmp_path)
    assert "`unilaw run SWEEP --store 'my rows'` writes some" in done.stderr
