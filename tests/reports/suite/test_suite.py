"""A suite never changes: its sweep files, the trials they ask for, and its reference rows.

Run alone: python -m pytest tests/reports/suite/test_suite.py
"""

import hashlib

import pytest

import unilaw
from harness.errors import UserError
from harness.sweeps.registry import load
from harness.sweeps.shipped import SHIPPED
from harness.sweeps.sweep import entries_of
from harness.sweeps.trial import canonical_json
from harness.sweeps.yaml_lines import read_document
from reports.suite.suite import SUITES, UNIVERSAL_V1, places_of, suite_named, text_hash
from tests import ROOT
from tests.test_readme import block

TRIALS = {
    "universal-v1-small": "14cb6d587f2ba746",
    "universal-v1-cores": "75c164b3fcb4f582",
    "universal-v1-gpu": "c93a258db1f06958",
    "universal-v1-cluster": "e8776d4bd29059f3",
}
"""Of the trials of each sweep: the hash of task, version, configuration and seed. Where a task's
default or version moves it, the suite gives other results, and is a v2."""


def test_the_files_are_as_they_were():
    for name, known in UNIVERSAL_V1.sweeps.items():
        assert text_hash((SHIPPED / f"{name}.yaml").read_bytes()) == known, (
            f"{name} is frozen: make a v2"
        )
    shipped = {path.stem for path in SHIPPED.glob("universal-v*.yaml")}
    assert shipped == {name for suite in SUITES.values() for name in suite.sweeps}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIALS)
def test_the_files_ask_for_the_trials_of_then(name: str):
    _, entries = entries_of(read_document(SHIPPED / f"{name}.yaml"), {})
    asked = {
        canonical_json([cells.ref.name, load(cells.ref).version, config.plain(), seed])
        for cells in entries
        for config in cells.configs()
        for seed in cells.seeds
    }
    found = hashlib.sha256("\n".join(sorted(asked)).encode()).hexdigest()
    assert found[:16] == TRIALS[name], "a default or a version moved: the suite is a v2"


@pytest.mark.slow
def test_the_reference_rows_are_those_that_the_page_of_the_suite_names():
    page = (ROOT / "docs" / "suite.md").read_text()
    for reference in UNIVERSAL_V1.references:
        rows = unilaw.rows(reference.folder)
        assert rows["status"].eq("ok").all()
        line = next(x for x in page.splitlines() if x.startswith(f"| `{reference.sweep}`"))
        assert f"{reference.hardware}, {len(rows)} trials" in line


def test_a_suites_name_stands_for_its_rows(tmp_path, monkeypatch):
    assert places_of("universal-v1") == [str(r.folder) for r in UNIVERSAL_V1.references]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "universal-v1").mkdir()
    assert places_of("universal-v1") == ["universal-v1"]


def test_the_large_form_names_a_sweep_and_a_suite_that_exist():
    """What `launch` itself takes is tests/dispatch/test_job_server.py's."""
    page = (ROOT / "docs" / "suite.md").read_text()
    words = [line.split() for line in block(page, "large").splitlines()]
    assert [line[1] for line in words] == ["plan", "launch", "report"]
    assert words[0][2] == words[1][2] in UNIVERSAL_V1.sweeps
    assert words[2][-1] in SUITES and "s3://BUCKET/universal-v1" in words[1]


def test_an_unknown_suite_is_refused():
    with pytest.raises(UserError, match="the suites are universal-v1; did you mean"):
        suite_named("universal-v2")
