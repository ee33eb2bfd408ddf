"""Which pretrained models and fields are refused.

Run alone: python -m pytest tests/tasks/pretrained/test_refused.py
"""

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from harness.errors import UserError
from harness.planning.plan import plan
from tasks.pretrained import PretrainedConfig
from tests.tasks.inline_trials import run
from tests.tasks.pretrained.saved_models import (
    LONGEST,
    TASK,
    edit_config,
    sweep,
    trial,
)


@pytest.mark.parametrize(
    "model",
    [
        "../secret",
        "a/../b",
        "..",
        "./x",
        "/etc/passwd",
        "a/b/c",
        "a//b",
        "",
        "folder:",
        "a b",
        "a/",
        "-x",
        "a\nb",
        "http://x/y",
    ],
)
def test_names_that_are_none(source: str, model: str):
    message = (
        "'model' must be a name on the hub, like 'openai-community/gpt2', or 'folder:PATH', not"
    )
    with pytest.raises(ValueError, match=message):
        PretrainedConfig(source=source, model=model)


@pytest.mark.parametrize(
    "model",
    [
        "gpt2",
        "openai-community/gpt2",
        "EleutherAI/pythia-1.4b",
        "a_b/c-d.e",
        "folder:x",
        "folder:/a b/c",
    ],
)
def test_names_that_are(model: str):
    assert PretrainedConfig(model=model).model == model


REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "windows to train on": (dict(n=5), ["n", "5", "0"]),
    "epochs": (dict(max_epochs=1), ["max_epochs", "1", "0"]),
    "a revision of a folder": (dict(revision="main"), ["'revision' is for models on the hub"]),
    "texts that are no source": (
        dict(last_words="words.jsonl"),
        ["last_words", "'words.jsonl'", "'jsonl:PATH'"],
    ),
    "no tokens": (dict(trained_tokens=0), ["trained_tokens", "0", "1"]),
}


@pytest.mark.slow
@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_named(
    source: str, models: Path, given: dict[str, Any], words: list[str]
):
    with pytest.raises(UserError) as refused:
        sweep(source, f"folder:{models / 'gpt2'}", **given)
    message = str(refused.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def without_a_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["transformer.h.1.mlp.c_fc.weight"]
    save_file(tensors, path, metadata={"format": "pt"})


DAMAGE: dict[str, tuple[Any, str]] = {
    "weights that are pickles": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "has no *.safetensors weights",
    ),
    "no configuration": (
        lambda f: (f / "config.json").unlink(),
        "needs a folder with config.json and *.safetensors",
    ),
    "no model of a known kind": (
        lambda f: edit_config(f, model_type="mine", auto_map={"AutoConfig": "mine.Mine"}),
        "is not one of a known model",
    ),
    "a configuration that is no JSON": (
        lambda f: (f / "config.json").write_text("{"),
        "is not one of a known model",
    ),
    "weights cut short": (
        lambda f: (f / "model.safetensors").write_bytes(
            (f / "model.safetensors").read_bytes()[:2000]
        ),
        "could not be loaded",
    ),
    "a weight missing": (
        without_a_weight,
        "lacks 1 of its weights, transformer.h.1.mlp.c_fc.weight among them",
    ),
    "a tokenizer of more tokens": (
        lambda f: edit_config(f, vocab_size=300),
        "has a vocabulary of 300 tokens and its tokenizer one of 400; they do not match",
    ),
    "no tokenizer": (
        lambda f: [path.unlink() for path in f.glob("tokenizer*")],
        "comes without its tokenizer; it needs one of tokenizer.json",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("damage", "words"), DAMAGE.values(), ids=DAMAGE.keys())
def test_models_that_are_refused(source: str, copied: Path, damage: Any, words: str):
    damage(copied)
    with pytest.raises(UserError) as refused:
        config = PretrainedConfig(source=source, model=f"folder:{copied}", context=16)
        TASK.corpus(config)
        TASK.model(config)
    message = str(refused.value)
    assert words in message
    assert "\n" not in message


@pytest.mark.slow
def test_more_context_than_the_model_reads(source: str, models: Path):
    message = f"reads at most {LONGEST} tokens, and 'context' is {LONGEST + 1}; lower it"
    with pytest.raises(UserError, match=message):
        plan(sweep(source, f"folder:{models / 'gpt2'}", context=LONGEST + 1), print)
    (columns,) = run(trial(source, models / "gpt2", context=LONGEST + 1))
    assert columns["status"] == "failed"
    assert f"reads at most {LONGEST} tokens" in columns["failure_message"]

    (columns,) = run(trial(source, models / "gpt2", context=LONGEST))
    assert columns["status"] == "ok", columns["failure_message"]
