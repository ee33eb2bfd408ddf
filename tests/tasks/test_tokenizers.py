"""How text becomes tokens: bytes, byte-pair encoding trained on the text, published tokenizers
with and without an answer.

Run alone: python -m pytest tests/tasks/test_tokenizers.py
"""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import transformers

from harness.errors import UserError
from tasks import tokenizers as ours
from tasks.tokenizers import (
    SEPARATOR,
    Tokenizer,
    check_tokenizer,
    make_tokenizer,
    tokenizer_identity,
    train_bpe,
    vocabulary_size,
)

WORDS = (
    "def return the of import self none value for in class import os robust law theorem network"
    " parameter".split()
)
HARD = [
    "",
    "plain",
    "  two  spaces\n\ttab\r\n",
    "naïve café – ℓ∞ 😀",
    "日本語",
    "a" * 300,
    f"before {SEPARATOR} after",
    SEPARATOR,
    "\x01\x7f\x80",
]


def some_documents(count: int, seed: int = 0) -> list[bytes]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=40)).encode() for _ in range(count)]


def tokens_of(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [
        np.asarray(tokens).tolist()
        for tokens in tokenizer.encode([text.encode() for text in texts])
    ]


@pytest.fixture(autouse=True)
def forget_loaded_tokenizers():
    yield
    ours._published.cache_clear()


@pytest.fixture(scope="module")
def bpe() -> tokenizers.Tokenizer:
    return train_bpe(some_documents(50), 300)


def save(bpe: tokenizers.Tokenizer, folder: Path, **special: str) -> str:
    """A published tokenizer, as transformers keeps one."""
    transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, **special).save_pretrained(folder)
    return f"folder:{folder}"


# Names


@pytest.mark.parametrize(
    "name",
    [
        "bytes",
        "bpe-257",
        "bpe-1024",
        "bpe-50257",
        "hub:gpt2",
        "hub:EleutherAI/pythia-70m",
        "folder:some/where",
    ],
)
def test_names_that_are_allowed(name: str):
    assert check_tokenizer(name) == name


REFUSED = {
    "": "",
    "byte": "; did you mean 'bytes'?",
    "bpe": "",
    "bpe-256": "; did you mean 'bpe-257'?",
    "bpe-0": "",
    "bpe--300": "",
    "bpe-1e3": "",
    "bpe-01024": "; did you mean 'bpe-1024'?",
    "bpe1024": "; did you mean 'bpe-1024'?",
    "bpe-99999999999": "",
    "hub:": "",
    "folder:": "",
    "gpt2": "",
    "foldr:x/y": "; did you mean 'folder:x/y'?",
    "Bytes": "; did you mean 'bytes'?",
}


@pytest.mark.parametrize(("name", "hint"), REFUSED.items())
def test_names_that_are_not(name: str, hint: str):
    with pytest.raises(
        ValueError, match=re.escape("'bytes', 'bpe-N' (N tokens, at least 257")
    ) as refused:
        check_tokenizer(name)
    assert f"not {name!r}" in str(refused.value)
    assert str(refused.value).endswith(hint)


@pytest.mark.parametrize(("name", "size"), [("bytes", 256), ("bpe-257", 257), ("bpe-50257", 50257)])
def test_vocabularies_that_a_name_tells(name: str, size: int):
    assert vocabulary_size(name) == size


# Bytes


def test_bytes_are_their_own_tokens():
    made = make_tokenizer("bytes", [])
    assert made[:2] == (256, 0)
    assert tokens_of(made, HARD) == [list(text.encode()) for text in HARD]


# Byte-pair encoding


@pytest.mark.parametrize("size", [257, 258, 300, 327])
def test_bpe_has_the_vocabulary_that_it_says(size: int):
    made = make_tokenizer(f"bpe-{size}", some_documents(50))
    assert made.vocabulary == size
    assert made.separator == train_bpe(some_documents(50), size).token_to_id(SEPARATOR)
    used = {
        token
        for tokens in tokens_of(made, [document.decode() for document in some_documents(50)] + HARD)
        for token in tokens
    }
    assert max(used) < size and made.separator not in used
    assert (max(used) > 256) == (size > 257), "merged pairs are used, where there are any"


@pytest.mark.parametrize("text", HARD)
def test_bpe_gives_every_text_back(bpe: tokenizers.Tokenizer, text: str):
    assert bpe.decode(bpe.encode(text).ids, skip_special_tokens=False) == text


def test_bpe_of_the_bytes_alone_has_a_token_per_byte():
    made = make_tokenizer("bpe-257", some_documents(3))
    assert [len(tokens) for tokens in tokens_of(made, HARD)] == [
        len(text.encode()) for text in HARD
    ]


def test_the_most_frequent_pair_is_merged_first():
    made = train_bpe([b"xyxyxyxy zz", b"xyxy"], 258)
    assert made.encode("xyzz").tokens == ["xy", "z", "z"]


def test_what_occurs_once_is_not_merged():
    assert train_bpe([b"xyz xyw"], 258).encode("xyz").tokens == ["xy", "z"]
    with pytest.raises(UserError, match="use 'bpe-258' at most"):
        train_bpe([b"xyz xyw"], 259)


def test_bpe_learns_nothing_of_the_separator_written_in_text():
    made = train_bpe([SEPARATOR.encode() * 50], 260)
    ids = made.encode(SEPARATOR).ids
    assert made.token_to_id(SEPARATOR) not in ids and len(ids) > 1
    assert made.decode(ids) == SEPARATOR


def test_bpe_with_too_little_text_says_how_much_it_is_good_for():
    with pytest.raises(
        UserError,
        match=(
            r"'bpe-5000' needs more text: .* for (\d+) tokens; use 'bpe-\1' at most, or a larger"
            r" corpus"
        ),
    ) as refused:
        make_tokenizer("bpe-5000", some_documents(50))
    most = int(re.findall(r"for (\d+) tokens", str(refused.value))[0])
    assert make_tokenizer(f"bpe-{most}", some_documents(50)).vocabulary == most


def test_bpe_is_the_same_in_any_order_and_any_process(bpe: tokenizers.Tokenizer):
    shuffled = some_documents(50)[::-1]
    assert train_bpe(shuffled, 300).to_str() == bpe.to_str()
    script = (
        "import sys; from tasks.tokenizers import train_bpe;"
        " print(train_bpe(sys.stdin.buffer.read().split(b'|'), 300).to_str())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TOKENIZERS_PARALLELISM": "true"}
    ran = subprocess.run(
        [sys.executable, "-c", script],
        input=b"|".join(shuffled),
        capture_output=True,
        check=True,
        env=environment,
    )
    assert ran.stdout.decode().strip() == bpe.to_str()


def test_bpe_is_another_for_other_text(bpe: tokenizers.Tokenizer):
    assert train_bpe([word[::-1] for word in some_documents(50)], 300).to_str() != bpe.to_str()


# Published tokenizers


def test_a_folder_gives_the_tokens_of_the_tokenizer_in_it(
    bpe: tokenizers.Tokenizer, tmp_path: Path
):
    name = save(bpe, tmp_path, eos_token=SEPARATOR)
    made = make_tokenizer(name, [])
    assert (made.vocabulary, made.separator) == (300, bpe.token_to_id(SEPARATOR))
    assert vocabulary_size(name) == 300
    assert tokens_of(made, HARD) == [bpe.encode(text).ids for text in HARD]


def test_a_separator_in_a_document_is_text_to_a_published_tokenizer(
    bpe: tokenizers.Tokenizer, tmp_path: Path
):
    made = make_tokenizer(save(bpe, tmp_path, eos_token=SEPARATOR), [])
    assert made.separator not in tokens_of(made, [f"before {SEPARATOR} after"])[0]


def test_documents_longer_than_a_published_context_are_whole(
    bpe: tokenizers.Tokenizer, tmp_path: Path
):
    made = make_tokenizer(save(bpe, tmp_path, eos_token=SEPARATOR, model_max_length=8), [])  # pyright: ignore[reportArgumentType]
    text = some_documents(1)[0].decode()
    assert tokens_of(made, [text]) == [bpe.encode(text).ids] and len(bpe.encode(text).ids) > 8


def test_a_vocabulary_with_a_gap_reaches_to_its_last_token(tmp_path: Path):
    model = tokenizers.models.WordLevel({"a": 0, "b": 1, "?": 2, SEPARATOR: 9}, unk_token="?")
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = make_tokenizer(save(made, tmp_path, eos_token=SEPARATOR, unk_token="?"), [])
    assert (tokenizer.vocabulary, tokenizer.separator) == (10, 9)
    assert tokens_of(tokenizer, ["a b c"]) == [[0, 1, 2]]


def test_a_tokenizer_without_a_separator(bpe: tokenizers.Tokenizer, tmp_path: Path):
    with pytest.raises(
        UserError, match=re.escape("has no end-of-text token (eos_token) to put between documents")
    ):
        make_tokenizer(save(bpe, tmp_path), [])


def test_a_folder_that_is_not_there():
    with pytest.raises(
        UserError,
        match=(
            "'folder:no/such' is not a folder; it needs the files that a tokenizer's"
            " save_pretrained writes"
        ),
    ):
        vocabulary_size("folder:no/such")


def test_a_damaged_folder(bpe: tokenizers.Tokenizer, tmp_path: Path):
    name = save(bpe, tmp_path, eos_token=SEPARATOR)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match=r"could not be loaded \(\w+\); use 'bytes' or 'bpe-N'"):
        make_tokenizer(name, [])


def test_the_hub_is_asked_once_by_name_and_runs_none_of_its_code(
    monkeypatch: pytest.MonkeyPatch, bpe: tokenizers.Tokenizer, tmp_path: Path
):
    save(bpe, tmp_path, eos_token=SEPARATOR)
    load, asked = transformers.AutoTokenizer.from_pretrained, []

    def hub(name: str, **options):
        asked.append((name, options["trust_remote_code"]))
        return load(tmp_path, **options)

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", hub)
    made = make_tokenizer("hub:some/tokenizer", [])
    assert vocabulary_size("hub:some/tokenizer") == made.vocabulary == 300
    assert asked == [("some/tokenizer", False)]
    assert tokens_of(made, HARD) == [bpe.encode(text).ids for text in HARD]


def test_the_hub_without_network_says_what_to_use(monkeypatch: pytest.MonkeyPatch):
    def no_network(name: str, **options):
        raise ConnectionError("no route")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", no_network)
    with pytest.raises(UserError) as refused:
        make_tokenizer("hub:gpt2", [])
    assert "'hub:gpt2' could not be loaded (ConnectionError)" in str(refused.value)
    assert "without a network use 'folder:PATH', 'bytes' or 'bpe-N'" in str(refused.value)


# Identity


@pytest.mark.parametrize("name", ["bytes", "bpe-300", "hub:gpt2"])
def test_a_name_is_its_own_identity(name: str):
    assert tokenizer_identity(name) == name


def test_a_folder_s_identity_is_the_content_of_its_tokenizer_files(tmp_path: Path):
    folders = [tmp_path / name for name in ("here", "there")]
    for folder in folders:
        folder.mkdir()
        (folder / "tokenizer.json").write_text("{}")
        (folder / "merges.txt").write_text("a b")
    here, there = (f"folder:{folder}" for folder in folders)
    assert tokenizer_identity(here) == tokenizer_identity(there), "wherever it lies"
    (folders[1] / "model.safetensors").write_bytes(b"weights")
    assert tokenizer_identity(here) == tokenizer_identity(there), "whatever weights lie beside it"
    (folders[1] / "merges.txt").write_text("b a")
    assert tokenizer_identity(here) != tokenizer_identity(there)
