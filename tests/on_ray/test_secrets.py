"""A run on Ray by a person with secrets keeps and prints none of them, and opens no door to the
network.

Run alone: python -m pytest tests/on_ray/test_secrets.py
"""

import json
import re

import pytest

from harness.store.provenance import VARIABLES
from tests.on_ray.mixed_run import Ran
from tests.security.canary import SECRET, everything_in

pytestmark = pytest.mark.ray

OWN_WORDS = "the cat sat on it"
"""What the task itself says in a failure."""


def test_no_secret_of_whoever_runs_it_is_kept_or_printed(
    mixed: Ran, unilaw_here, monkeypatch: pytest.MonkeyPatch
):
    for name, value in mixed.variables.items():
        monkeypatch.setenv(name, value)
    said = mixed.process.stdout + mixed.process.stderr
    for command in ("status", "report"):
        done = unilaw_here(command, mixed.store, cwd=mixed.folder)
        assert done.returncode == 0, done.stderr
        said += done.stdout + done.stderr

    assert set(mixed.rows["failure_kind"].fillna("ok")) >= {"bug", "crash", "ok"}
    kept = everything_in(mixed.store)
    assert {name.partition("/")[0].partition("-")[0] for name in kept} >= {
        "_store.json",
        "_sweeps",
        "_runs",
        "_weights",
        "_report.html",
        "part",
    }
    says = [name for name, content in kept.items() if OWN_WORDS.encode() in content]
    assert {"_report.html"} | {name for name in says if name.endswith("read")} <= set(says), (
        "the search does not see what rows say"
    )
    assert len(says) >= 3 and OWN_WORDS in said
    assert [name for name, content in kept.items() if SECRET.encode() in content] == []
    assert SECRET not in said


def test_rows_keep_the_listed_variables_and_no_others(mixed: Ran):
    written_by_workers = mixed.rows["failure_kind"].ne("crash")
    kept = [json.loads(text) for text in mixed.rows.loc[written_by_workers, "environment_json"]]
    for variables in kept:
        assert variables["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert variables["OMP_NUM_THREADS"] == "1"
        assert set(variables) <= set(VARIABLES)
    assert not [
        name for name in VARIABLES if re.search("TOKEN|KEY|SECRET|PASS|HOME|PATH|USER|URL", name)
    ]


def test_a_run_on_this_machine_listens_on_loopback_alone(mixed: Ran):
    assert mixed.listened, "nothing was seen to listen"
    assert [
        a for a in mixed.listened if not (getattr(a, "ipv4_mapped", None) or a).is_loopback
    ] == []
