"""Whether a language model predicts the last word of a text.

Run alone: python -m pytest tests/tasks/pretrained/test_last_words.py
"""

import json
import re
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
)

from harness.errors import UserError
from tasks.pretrained import PretrainedConfig
from tests.tasks.inline_trials import run
from tests.tasks.pretrained.saved_models import (
    LONGEST,
    TASK,
    trial,
)


def by_hand(models: Path, texts: list[str]) -> list[bool]:
    """Return whether greedy decoding writes the last word of each text, token by token."""
    model = AutoModelForCausalLM.from_pretrained(models / "gpt2")
    tokenizer = AutoTokenizer.from_pretrained(models / "gpt2")
    is_right = []
    for text in texts:
        before, _, word = text.rpartition(" ")
        tokens = tokenizer(before)["input_ids"]
        ending = tokenizer(f" {word}")["input_ids"]
        written: list[int] = []
        for _ in ending:
            written.append(next_token(model, tokens + written))
        is_right.append(written == ending)
    return is_right


@torch.no_grad()
def next_token(model: torch.nn.Module, tokens: list[int]) -> int:
    """Return the likeliest token after these, of which the model reads the last LONGEST."""
    return int(model(torch.tensor([tokens[-LONGEST:]])).logits[0, -1].argmax())


def write_jsonl(path: Path, texts: list[str]) -> str:
    """Write texts as rows, and return them as a source."""
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return f"jsonl:{path}"


@pytest.mark.slow
def test_last_words_are_those_of_greedy_decoding(source: str, models: Path, tmp_path: Path):
    model = AutoModelForCausalLM.from_pretrained(models / "gpt2")
    tokenizer = AutoTokenizer.from_pretrained(models / "gpt2")
    words = sorted(set(Path(source.removeprefix("text:"), "000.txt").read_text().split()))
    texts = []
    for number, word in enumerate(words):
        passage = " ".join(words[: 1 + number % 7] + [word])
        predicted = tokenizer.decode(next_token(model, tokenizer(passage)["input_ids"]))
        # A text ends as the model predicts where the prediction is a word.
        ending = predicted if re.fullmatch(r" [a-z]+", predicted) else f" {word}"
        texts.append(passage + ending)

    is_right = by_hand(models, texts)
    assert 0 < sum(is_right) < len(texts), "or the test would not tell right from wrong"

    last_words = write_jsonl(tmp_path / "words.jsonl", [*texts, "word", "  "])
    (c,) = run(trial(source, models / "gpt2", last_words=last_words))
    assert c["last_word_accuracy"] == sum(is_right) / len(texts)
    assert c["last_word_n"] == len(texts)


@pytest.mark.slow
def test_last_words_are_read_up_to_a_limit_and_are_part_of_the_identity(
    source: str, models: Path, tmp_path: Path
):
    texts = ["one two three", "one two four", "one two five"]
    last_words = write_jsonl(tmp_path / "words.jsonl", texts)
    config = PretrainedConfig(
        source=source, model=f"folder:{models / 'gpt2'}", last_words=last_words, last_words_most=2
    )
    assert len(TASK.last_words(config)) == 2

    with_words = trial(source, models / "gpt2", last_words=last_words)
    without = trial(source, models / "gpt2")
    assert with_words.trial_id != without.trial_id


@pytest.mark.slow
def test_texts_without_two_words_are_refused(source: str, models: Path, tmp_path: Path):
    config = PretrainedConfig(
        source=source,
        model=f"folder:{models / 'gpt2'}",
        last_words=write_jsonl(tmp_path / "words.jsonl", ["one"]),
    )
    with pytest.raises(UserError, match="'last_words' is .* which has no text of two words"):
        TASK.last_words(config)
