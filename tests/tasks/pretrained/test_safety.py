"""Models of others: no code of theirs is run, and only named files are downloaded."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from tasks.model_files import MODEL_FILES
from tests.tasks.inline_trials import run
from tests.tasks.pretrained.saved_models import (
    edit_config,
    sweep,
    trial,
)


def test_code_that_comes_with_a_model_is_never_run(source: str, copied: Path, tmp_path: Path):
    marker = tmp_path / "ran"
    (copied / "mine.py").write_text(f"open({str(marker)!r}, 'w')\nclass Mine: pass\n")
    tokenizer = json.loads((copied / "tokenizer_config.json").read_text())
    (copied / "tokenizer_config.json").write_text(
        json.dumps({**tokenizer, "auto_map": {"AutoTokenizer": [None, "mine.Mine"]}})
    )
    edit_config(copied, auto_map={"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Mine"})
    try:
        (columns,) = run(trial(source, copied))
        assert columns["status"] == "ok", columns["failure_message"]  # by transformers' own classes
    except UserError as e:
        assert "could not be loaded" in str(e)
    assert not marker.exists()


# The hub


class Hub:
    """What `snapshot_download` was asked for, and the folder or the mistake that it gives."""

    def __init__(self, gives: Path | Exception):
        self.gives, self.asked = gives, []

    def __call__(self, name: str, **about: Any) -> str:
        self.asked.append((name, about))
        if isinstance(self.gives, Exception):
            raise self.gives
        return str(self.gives)


@pytest.mark.parametrize("revision", [None, "v1"])
def test_a_model_of_the_hub_is_downloaded_once(
    source: str, models: Path, revision: str | None, monkeypatch: pytest.MonkeyPatch
):
    hub = Hub(models / "gpt2")
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
    given = {"revision": revision} if revision else {}
    (c,) = run(sweep(source, "EleutherAI/pythia-70m", **given).trials[0])
    assert (
        c["status"] == "ok"
        and c["tokens_distinct"] == 299_892_736_000
        and c["n"] == round(299_892_736_000 / 16)
    )
    assert hub.asked == [
        ("EleutherAI/pythia-70m", {"revision": revision, "allow_patterns": MODEL_FILES})
    ]
    assert not [
        pattern for pattern in MODEL_FILES if pattern.endswith((".bin", ".py", ".pt", "*"))
    ], "no code, no pickles"


def test_a_hub_that_does_not_answer(source: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", Hub(ConnectionError("no route")))
    with pytest.raises(
        UserError,
        match=(
            r"'openai-community/gpt2' could not be loaded from the hub \(ConnectionError\);"
            r" .*'folder:PATH'"
        ),
    ):
        sweep(source, "openai-community/gpt2")
