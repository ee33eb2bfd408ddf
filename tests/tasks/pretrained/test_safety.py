"""Models made by others: their code is never run, and only files of known kinds are downloaded.

Run alone: python -m pytest tests/tasks/pretrained/test_safety.py
"""

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


@pytest.mark.slow
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
        # Loaded by transformers' own classes.
        assert columns["status"] == "ok", columns["failure_message"]
    except UserError as e:
        assert "could not be loaded" in str(e)
    assert not marker.exists()


class Hub:
    """Stands in for `snapshot_download`: records its calls, and returns a folder or raises."""

    def __init__(self, result: Path | Exception):
        self.result = result
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, name: str, **options: Any) -> str:
        self.calls.append((name, options))
        if isinstance(self.result, Exception):
            raise self.result
        return str(self.result)


@pytest.mark.slow
@pytest.mark.parametrize("revision", [None, "v1"])
def test_a_model_of_the_hub_is_downloaded_once(
    source: str, models: Path, revision: str | None, monkeypatch: pytest.MonkeyPatch
):
    hub = Hub(models / "gpt2")
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
    fixed = {"revision": revision} if revision else {}
    (c,) = run(sweep(source, "EleutherAI/pythia-70m", **fixed).trials[0])
    assert c["status"] == "ok"
    assert c["tokens_distinct"] == 299_892_736_000
    assert c["n"] == round(299_892_736_000 / 16)

    options = {"revision": revision, "allow_patterns": MODEL_FILES}
    assert hub.calls == [("EleutherAI/pythia-70m", options)]
    # no code, no pickles
    assert not any(pattern.endswith((".bin", ".py", ".pt", "*")) for pattern in MODEL_FILES)


def test_a_hub_that_does_not_answer(source: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", Hub(ConnectionError("no route")))
    message = (
        r"'openai-community/gpt2' could not be loaded from the hub \(ConnectionError\);"
        r" .*'folder:PATH'"
    )
    with pytest.raises(UserError, match=message):
        sweep(source, "openai-community/gpt2")
