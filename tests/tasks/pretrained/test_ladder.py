"""The shipped sweep `pretrained-ladder`, with small models in the places of the published ones.

Run alone: python -m pytest tests/tasks/pretrained/test_ladder.py
"""

from pathlib import Path

import pytest
import yaml

from harness.sweeps.shipped import SHIPPED
from harness.sweeps.sweep import parse_sweep
from reports.evidence import read_evidence
from reports.law import fit_all
from reports.sections import law
from tasks import pretrained
from tests.tasks.pretrained.saved_models import LONGEST

LADDER = yaml.safe_load((SHIPPED / "pretrained-ladder.yaml").read_text())


@pytest.fixture
def on_the_hub(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer for every published name with a small model of its architecture."""

    def folder(model: str, revision: str | None) -> Path:
        return models / ("gpt2" if "gpt2" in model else "gpt-neox")

    monkeypatch.setattr(pretrained, "model_folder", folder)


def shortened(source: str, **changes: object) -> str:
    """Return the ladder's text on a text of ours, in windows that the small models can read."""
    entries = [
        {**entry, "fixed": {**entry["fixed"], "source": source, "context": LONGEST // 2}}
        for entry in LADDER["tasks"]
    ]
    return yaml.safe_dump({**LADDER, "tasks": entries, **changes})


@pytest.mark.slow
def test_every_model_of_the_ladder_is_read(source: str, on_the_hub: None):
    """Names with equal weights are one trial, so nine names are two trials here."""
    sweep = parse_sweep(shortened(source), "pretrained-ladder.yaml")
    names = [name for entry in LADDER["tasks"] for name in entry["grid"]["model"]]
    assert len(names) == 9 == len(sweep.trials) + sweep.repeated
    assert len(sweep.trials) == 2 and sweep.name == "pretrained-ladder"


@pytest.mark.soak
def test_its_models_are_hollow_points_of_the_law_chart(
    source: str, on_the_hub: None, tmp_path: Path, unilaw_here
):
    two = ["openai-community/gpt2", "EleutherAI/pythia-70m"]
    fixed = {"source": source, "context": LONGEST // 2}
    tasks = [{"task": "pretrained", "fixed": fixed, "grid": {"model": two}}]
    text = shortened(source, tasks=tasks, limits={"measure_points": 2, "weights_mb": 0})
    (tmp_path / "ladder.yaml").write_text(text)

    planned = unilaw_here("plan", "ladder.yaml", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert "GB" in planned.stdout and "Forecast: " in planned.stdout

    done = unilaw_here("run", "ladder.yaml", "--inline", "--store", "rows", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    evidence = read_evidence(tmp_path / "rows")
    trials = evidence.trials.set_index("tokens_distinct")
    assert set(trials["kind"]) == {"pretrained, as published"} and len(trials) == 2
    assert trials["stability_attack_mean"].notna().all() and not trials["tests_stability"].any()
    assert trials["why_hollow"].str.startswith("trained elsewhere").all()
    assert trials["x_law"].notna().tolist() == trials.index.notna().tolist()
    made = law.section(evidence, fit_all(evidence.trials))
    assert made is not None and "pretrained, as published" in made.html
