"""Whether a language model predicts the last word of a text."""

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

# Last words


def by_hand(models: Path, texts: list[str]) -> list[bool]:
    """Whether greedy decoding writes the last word, token by token."""
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(models / "gpt2"),
        AutoTokenizer.from_pretrained(models / "gpt2"),
    )
    right = []
    for text in texts:
        before, _, word = text.rpartition(" ")
        tokens, ending = tokenizer(before)["input_ids"], tokenizer(f" {word}")["input_ids"]
        written = []
        for _ in ending:
            with torch.no_grad():
                written.append(
                    int(model(torch.tensor([(tokens + written)[-LONGEST:]])).logits[0, -1].argmax())
                )
        right.append(written == ending)
    return right


def test_last_words_are_those_of_greedy_decoding(source: str, models: Path, tmp_path: Path):
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(models / "gpt2"),
        AutoTokenizer.from_pretrained(models / "gpt2"),
    )
    words = sorted(set(Path(source.removeprefix("text:"), "000.txt").read_text().split()))
    texts = []
    for number, word in enumerate(words):
        passage = " ".join(words[: 1 + number % 7] + [word])
        with torch.no_grad():
            said = tokenizer.decode(
                model(torch.tensor([tokenizer(passage)["input_ids"][-LONGEST:]]))
                .logits[0, -1]
                .argmax()
            )
        texts.append(passage + (said if re.fullmatch(r" [a-z]+", said) else " " + word))
    expected = by_hand(models, texts)
    assert 0 < sum(expected) < len(texts), "or the test would not tell right from wrong"
    (tmp_path / "words.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in [*texts, "word", "  "])
    )
    (c,) = run(trial(source, models / "gpt2", last_words=f"jsonl:{tmp_path / 'words.jsonl'}"))
    assert c["last_word_accuracy"] == sum(expected) / len(texts) and c["last_word_n"] == len(texts)


def test_last_words_are_read_up_to_a_limit_and_are_part_of_the_identity(
    source: str, models: Path, tmp_path: Path
):
    path = tmp_path / "words.jsonl"
    path.write_text(
        "".join(
            json.dumps({"text": f"one two {word}"}) + "\n" for word in ("three", "four", "five")
        )
    )
    given = PretrainedConfig(
        source=source,
        model=f"folder:{models / 'gpt2'}",
        last_words=f"jsonl:{path}",
        last_words_most=2,
    )
    assert len(TASK.last_words(given)) == 2
    with_words, without = (
        trial(source, models / "gpt2", last_words=f"jsonl:{path}"),
        trial(source, models / "gpt2"),
    )
    assert with_words.trial_id != without.trial_id


def test_texts_without_two_words_are_refused(source: str, models: Path, tmp_path: Path):
    (tmp_path / "words.jsonl").write_text('{"text": "one"}\n')
    given = PretrainedConfig(
        source=source,
        model=f"folder:{models / 'gpt2'}",
        last_words=f"jsonl:{tmp_path / 'words.jsonl'}",
    )
    with pytest.raises(UserError, match="'last_words' is .* and has no text of two words"):
        TASK.last_words(given)
