"""Where text comes from, what is held out of it, and the files that keep its tokens."""

import hashlib
import json
import multiprocessing
import os
import random
import re
import shutil
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import numpy as np
import pytest
import tokenizers
import transformers

from harness.errors import UserError
from harness.language import Corpus
from tasks import corpora
from tasks.corpora import check_source, content_hash, documents, load_corpus, source_identity, split


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty cache for every test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load_corpus.cache_clear()
    yield tmp_path / "cache" / "unilaw" / "corpora"
    load_corpus.cache_clear()


def share(document: bytes) -> float:
    """Where in [0, 1) a document's hash lies: it is held out below 0.05."""
    return int(hashlib.sha256(document).hexdigest()[:13], 16) / 16**13


def on_side(held_out: bool, count: int, seed: int = 0) -> list[bytes]:
    """Different documents, all of them of one side."""
    draw = random.Random(seed)
    found: list[bytes] = []
    while len(found) < count:
        document = f"document {draw.random()} é".encode()
        if (share(document) < 0.05) == held_out:
            found.append(document)
    return found


TRAIN, HELD_OUT = on_side(False, 6), on_side(True, 2)
DOCUMENTS = [*TRAIN[:3], *HELD_OUT, *TRAIN[3:]]


def write(folder: Path, texts: list[bytes]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        (folder / f"{number:03}.txt").write_bytes(text)
    return f"text:{folder}"


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write(tmp_path / "text", DOCUMENTS)


def texts(tokens: np.ndarray) -> list[bytes]:
    """The documents in tokens that are bytes."""
    *found, rest = tokens.astype(np.uint8).tobytes().split(b"\0")
    assert rest == b"", "a separator ends the last document too"
    return found


def same(a: Corpus, b: Corpus) -> bool:
    return (
        all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        and a.train.dtype == b.train.dtype
    )


# Names


@pytest.mark.parametrize(
    "name",
    [
        "python-stdlib",
        "hub:wikitext",
        "hub:Salesforce/wikitext@wikitext-103-raw-v1",
        "hub:a/b@c#test",
        "hub:a/b#test",
        "text:a/b.txt",
        "parquet:/x",
        "jsonl:x",
    ],
)
def test_names_that_are_allowed(name: str):
    assert check_source(name) == name


REFUSED = {
    "": "",
    "stdlib": "",
    "python-stdlb": "; did you mean 'python-stdlib'?",
    "python_stdlib": "; did you mean 'python-stdlib'?",
    "txt:books": "; did you mean 'text:books'?",
    "json:rows": "; did you mean 'jsonl:rows'?",
    "text:": "",
    "parquet": "",
    "hub:": "",
    "hub:a@": "",
    "hub:a#": "",
    "hub:a@b@c": "",
    "hub:a#b@c": "",
}


@pytest.mark.parametrize(("name", "hint"), REFUSED.items())
def test_names_that_are_not(name: str, hint: str):
    with pytest.raises(
        ValueError, match="the source of text must be 'python-stdlib', 'hub:NAME', .* 'text:PATH'"
    ) as refused:
        check_source(name)
    assert f"not {name!r}" in str(refused.value)
    assert hint in str(refused.value)
    with pytest.raises(UserError, match="the source of text must be"):
        load_corpus(name, "bytes")


def test_a_corpus_of_an_unknown_tokenizer(source: str):
    with pytest.raises(UserError, match="the tokenizer must be 'bytes'"):
        load_corpus(source, "words")


# What is held out


def test_one_document_in_twenty_is_held_out_by_its_own_hash():
    some = [f"document {number}".encode() for number in range(4000)]
    train, held_out = split(some)
    assert held_out == [document for document in some if share(document) < 0.05]
    assert train == [document for document in some if share(document) >= 0.05]
    assert 160 < len(held_out) < 240, "4000 · 0.05 within three standard deviations"


def test_a_document_that_occurs_twice_is_kept_once_on_its_side():
    train, held_out = split([*DOCUMENTS, *reversed(DOCUMENTS), *DOCUMENTS[2:5]])
    assert train == TRAIN and held_out == HELD_OUT


@pytest.mark.parametrize("seed", range(3))
def test_neither_order_nor_other_documents_move_one(seed: int):
    draw = random.Random(seed)
    some = on_side(False, 100, seed) + on_side(True, 5, seed)
    shuffled = draw.sample(some, len(some))
    part = [*draw.sample(some[:100], 20), *some[-2:]]
    whole, mixed, fewer = ([set(side) for side in split(each)] for each in (some, shuffled, part))
    assert mixed == whole
    assert fewer[0] <= whole[0] and fewer[1] <= whole[1]


@pytest.mark.parametrize("held_out", [False, True])
def test_a_side_that_would_be_empty_gets_the_document_next_to_the_limit(held_out: bool):
    some = sorted(on_side(held_out, 5), key=share)
    assert split(some[::-1]) == (
        (some[:0:-1], some[:1]) if not held_out else (some[4:], some[3::-1])
    )


@pytest.mark.parametrize(
    ("some", "how_many"),
    [([], "no document"), ([b"a"], "one document"), ([b"a", b"a"], "one document")],
)
def test_one_document_cannot_be_split(some: list[bytes], how_many: str):
    with pytest.raises(
        UserError,
        match=f"the source has {how_many} that is read, and needs at least two different ones",
    ):
        split(some)


def test_no_document_is_on_both_sides_of_a_corpus(tmp_path: Path):
    corpus = load_corpus(write(tmp_path / "text", [*DOCUMENTS, *DOCUMENTS]), "bytes")
    assert texts(corpus.train) == TRAIN and texts(corpus.held_out) == HELD_OUT


# Tokens


def test_a_corpus_of_bytes_is_its_documents(source: str):
    corpus = load_corpus(source, "bytes")
    assert texts(corpus.train) == TRAIN and texts(corpus.held_out) == HELD_OUT
    assert (corpus.vocabulary, corpus.separator) == (256, 0)
    assert corpus.held_out_bytes == sum(map(len, HELD_OUT)) == len(corpus.held_out) - len(HELD_OUT)
    assert corpus.tokens_per_byte == 1


def test_bpe_is_trained_on_the_training_documents_alone(tmp_path: Path):
    def merged_token(corpus: Corpus) -> bool:
        return bool((corpus.train == 257).any())

    written = load_corpus(
        write(tmp_path / "a", [document + b"QZ" * 500 for document in TRAIN] + HELD_OUT), "bpe-258"
    )
    assert merged_token(written), "the pair QZ"
    train = [b"abab " + document for document in TRAIN]
    plain = [d for d in train if share(d) >= 0.05]
    frequent_outside = next(
        d for n in range(10_000) if share(d := b"QZ" * 500 + str(n).encode()) < 0.05
    )
    corpus = load_corpus(write(tmp_path / "b", [*plain, frequent_outside]), "bpe-258")
    assert len(corpus.held_out) > 1000, "QZ, however frequent in what is held out, has no token"


def test_bpe_corpus(source: str):
    corpus = load_corpus(source, "bpe-270")
    assert corpus.vocabulary == 270 and corpus.train.dtype == np.uint16
    assert (corpus.train == corpus.separator).sum() == len(TRAIN) and corpus.train[
        -1
    ] == corpus.separator
    assert (corpus.held_out == corpus.separator).sum() == len(HELD_OUT)
    assert 256 < corpus.train.max() < 270
    assert corpus.held_out_bytes == sum(map(len, HELD_OUT)) and corpus.tokens_per_byte < 1


def word_tokenizer(folder: Path, words: dict[str, int], separator: str) -> str:
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=separator, unk_token="?"
    ).save_pretrained(folder)
    return f"folder:{folder}"


@pytest.mark.parametrize(("last", "dtype"), [(2**16 - 1, np.uint16), (2**16, np.uint32)])
def test_tokens_are_as_wide_as_the_vocabulary_needs(
    source: str, tmp_path: Path, last: int, dtype: type
):
    name = word_tokenizer(tmp_path / "words", {"document": 5, "?": 6, "<end>": last}, "<end>")
    corpus = load_corpus(source, name)
    assert corpus.train.dtype == corpus.held_out.dtype == dtype and corpus.vocabulary == last + 1
    assert corpus.train.tolist() == [5, 6, 6, last] * len(TRAIN)
    load_corpus.cache_clear()
    assert same(load_corpus(source, name), corpus)


def test_a_tokenizer_that_uses_its_separator_inside_documents(source: str, tmp_path: Path):
    name = word_tokenizer(tmp_path / "words", {"document": 0, "?": 1}, "document")
    with pytest.raises(UserError, match="puts its end-of-text token inside documents"):
        load_corpus(source, name)


def test_the_content_hash_is_of_everything(source: str):
    corpus = load_corpus(source, "bytes")
    changed = corpus.held_out.copy()
    changed[0] += 1
    others = [
        corpus._replace(train=corpus.train[:-1]),
        corpus._replace(held_out=changed),
        corpus._replace(train=corpus.train.astype(np.uint32)),
        corpus._replace(
            train=corpus.train[:-9], held_out=np.concatenate([corpus.train[-9:], corpus.held_out])
        ),
        corpus._replace(vocabulary=257),
        corpus._replace(separator=1),
        corpus._replace(held_out_bytes=1),
    ]
    assert content_hash(corpus) == corpus.content_hash and len(corpus.content_hash) == 64
    assert len({corpus.content_hash, *map(content_hash, others)}) == 8


# Files of text


def test_files_are_read_in_the_order_of_their_paths(tmp_path: Path):
    for name in ("b.txt", "a/z.txt", "a/b/c.txt", "c.txt", "c.md"):
        (tmp_path / "text" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "text" / name).write_text(name)
    assert list(documents(f"text:{tmp_path / 'text'}")) == [
        b"a/b/c.txt",
        b"a/z.txt",
        b"b.txt",
        b"c.txt",
    ]
    assert list(documents(f"text:{tmp_path / 'text' / 'c.md'}")) == [b"c.md"], (
        "a file that is named has any name"
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"plain\r\n\ttext", [b"plain\r\n\ttext"]),
        (b"\0a\0\0b\0", [b"ab"]),
        (b"\0\0", []),
        (b"", []),
        ("é ℓ 😀".encode(), ["é ℓ 😀".encode()]),
        (b"caf\xe9!", ["caf\ufffd!".encode()]),
    ],
    ids=["lines", "zeros", "zeros-alone", "empty", "unicode", "latin-1"],
)
def test_what_a_document_is_of_a_file(tmp_path: Path, written: bytes, read: list[bytes]):
    assert list(documents(write(tmp_path / "text", [written]))) == read


@pytest.mark.parametrize(
    ("kind", "pattern"), [("text", "*.txt"), ("parquet", "*.parquet"), ("jsonl", "*.jsonl")]
)
def test_a_place_without_files(tmp_path: Path, kind: str, pattern: str):
    (tmp_path / "x.md").write_text("nothing")
    for place in (tmp_path / "no", tmp_path):
        with pytest.raises(
            UserError,
            match=re.escape(
                f"'{kind}:{place}' is neither a file nor a folder that holds {pattern} files"
            ),
        ):
            load_corpus(f"{kind}:{place}", "bytes")


@pytest.mark.parametrize(
    ("megabytes", "count"),
    [(0.0029, 2), (0.003, 3), (0.0035, 3), (0.01, 10), (1.0, 10), (None, 10)],
)
def test_megabytes_are_whole_documents_from_the_beginning(
    tmp_path: Path, megabytes: float | None, count: int
):
    some = [bytes([97 + number]) * 1000 for number in range(10)]
    corpus = load_corpus(write(tmp_path / "text", some), "bytes", megabytes)
    assert sorted(texts(corpus.train) + texts(corpus.held_out)) == some[:count]


def test_too_few_megabytes(source: str):
    with pytest.raises(
        UserError, match="the source has no document that is read, .* or raise 'megabytes'"
    ):
        load_corpus(source, "bytes", 1e-6)


# Rows


def rows(fields: dict[str, list]) -> datasets.Dataset:
    return datasets.Dataset.from_dict(fields)


def jsonl(path: Path, fields: dict[str, list]) -> Path:
    lines = [
        json.dumps(dict(zip(fields, values, strict=True)))
        for values in zip(*fields.values(), strict=True)
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def parquet(path: Path, fields: dict[str, list]) -> Path:
    path.parent.mkdir(exist_ok=True)
    rows(fields).to_parquet(path)
    return path


ROWS = {"id": list(range(8)), "text": [document.decode() for document in DOCUMENTS]}
KINDS = [("jsonl", jsonl), ("parquet", parquet)]


@pytest.mark.parametrize(("kind", "write_rows"), KINDS)
def test_rows_are_the_same_corpus_as_files(
    tmp_path: Path, source: str, kind: str, write_rows: Callable
):
    path = write_rows(tmp_path / f"x.{kind}", ROWS)
    corpus = load_corpus(f"{kind}:{path}", "bytes")
    assert corpus.content_hash == load_corpus(source, "bytes").content_hash
    assert texts(corpus.train) == TRAIN


@pytest.mark.parametrize(("kind", "write_rows"), KINDS)
def test_a_folder_of_rows_is_read_in_order_and_by_its_field(
    tmp_path: Path, kind: str, write_rows: Callable
):
    folder = tmp_path / "rows"
    write_rows(folder / f"2.{kind}", {"story": ["c\0c", "", "d"]})
    write_rows(folder / f"1.{kind}", {"story": ["a", "b"]})
    assert list(documents(f"{kind}:{folder}", "story")) == [b"a", b"b", b"cc", b"d"]


def test_a_field_that_is_not_there(tmp_path: Path):
    path = jsonl(tmp_path / "x.jsonl", {"id": [1], "txt": ["a"]})
    with pytest.raises(
        UserError, match=re.escape("has no field 'text'; it has id, txt; did you mean 'txt'?")
    ):
        load_corpus(f"jsonl:{path}", "bytes")


def test_a_field_that_is_no_text(tmp_path: Path):
    path = jsonl(tmp_path / "x.jsonl", {"text": ["a", None]})
    with pytest.raises(UserError, match="field 'text' of row 2 is NoneType, not text"):
        load_corpus(f"jsonl:{path}", "bytes")


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_damaged_rows(tmp_path: Path, kind: str):
    (tmp_path / f"x.{kind}").write_bytes(b'{"text": "a"}\n{"te')
    with pytest.raises(UserError, match=rf"the source '{kind}:.*' could not be read \(\w+\)$"):
        load_corpus(f"{kind}:{tmp_path / f'x.{kind}'}", "bytes")


# The hub


class Hub:
    """A hub of one data set, streamed row by row from a local file. Remembers what it was asked
    for and how far it was read."""

    def __init__(self, path: Path):
        self.load, self.path = datasets.load_dataset, path
        self.asked: list[tuple] = []
        self.read = 0

    def __call__(self, path: str, name: str | None = None, *, split: str, streaming: bool):
        self.asked.append((path, name, split))
        assert streaming
        return map(
            self.count, self.load("json", data_files=str(self.path), split="train", streaming=True)
        )

    def count(self, row: dict) -> dict:
        self.read += 1
        return row


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    made = Hub(jsonl(tmp_path / "hub.jsonl", ROWS))
    monkeypatch.setattr(datasets, "load_dataset", made)
    return made


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("hub:wikitext", ("wikitext", None, "train")),
        ("hub:a/b@c-1", ("a/b", "c-1", "train")),
        ("hub:a/b#test", ("a/b", None, "test")),
        ("hub:a/b@c#validation", ("a/b", "c", "validation")),
    ],
)
def test_the_hub_is_asked_for_what_the_name_says(hub: Hub, source: str, name: str, asked: tuple):
    corpus = load_corpus(name, "bytes", 1.0)
    assert hub.asked == [asked]
    assert corpus.content_hash == load_corpus(source, "bytes").content_hash


def test_only_the_beginning_of_the_hub_s_rows_is_read(hub: Hub):
    corpus = load_corpus("hub:a", "bytes", sum(map(len, DOCUMENTS[:4])) / 1e6)
    assert texts(corpus.train) == TRAIN[:3] and texts(corpus.held_out) == HELD_OUT[:1]
    assert hub.read == 5


def test_what_was_read_from_the_hub_needs_no_network_again(hub: Hub):
    corpus = load_corpus("hub:a", "bytes", 1.0)
    load_corpus.cache_clear()
    assert same(load_corpus("hub:a", "bytes", 1.0), corpus)
    assert len(hub.asked) == 1
    load_corpus("hub:a@b", "bytes", 1.0)
    load_corpus("hub:a", "bytes", 2.0)
    assert len(hub.asked) == 3, "another configuration or amount is another corpus"


def test_the_hub_is_not_read_without_an_end():
    with pytest.raises(UserError, match="'hub:a' needs 'megabytes': how much text to take"):
        load_corpus("hub:a", "bytes")


def test_the_hub_without_network_says_what_to_use(monkeypatch: pytest.MonkeyPatch):
    def no_network(**asked):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", no_network)
    with pytest.raises(UserError) as refused:
        load_corpus("hub:a/b", "bytes", 1.0)
    assert (
        "'hub:a/b' could not be read (ConnectionError); without a network use 'python-stdlib'"
        in str(refused.value)
    )


# Python's standard library


def test_the_library_has_no_tests_no_packages_and_nothing_of_one_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    library = ["abc.py", "json/__init__.py", "json/tool.py", "unittest/mock.py", "testing.py"]
    without = [
        "test/test_abc.py",
        "json/tests/test_json.py",
        "idlelib/idle_test/mock.py",
        "site-packages/torch/nn.py",
        "dist-packages/x.py",
        "__pycache__/y.py",
        "_sysconfigdata__linux.py",
        "config-3.11-x86_64/python-config.py",
        "LICENSE.txt",
        "lib-dynload/z.so",
    ]
    for name in library + without:
        (tmp_path / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lib" / name).write_text(name)
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path / "lib")})
    assert [document.decode() for document in documents("python-stdlib")] == sorted(library)


def test_the_running_python_s_library_is_real_text():
    found = list(documents("python-stdlib"))
    assert 3e6 < sum(map(len, found)) < 3e7 and len(found) > 400
    whole = b"\n".join(found)
    assert b"def namedtuple(" in whole and b"class TestCase(" in whole and b"\0" not in whole
    assert b"class TestNamedTuple(" not in whole, "of its tests"


def test_a_part_of_the_library():
    corpus = load_corpus("python-stdlib", "bytes", 0.1)
    assert 0.05e6 < (corpus.train > 0).sum() + (corpus.held_out > 0).sum() <= 0.1e6
    assert any(
        text.startswith(b'"""Record of phased-in incompatible language changes.')
        for text in texts(corpus.train)
    )


# The files that keep tokens


def only_folder(cache: Path) -> Path:
    (folder,) = cache.iterdir()
    return folder


def test_tokens_are_mapped_from_files_and_made_once(
    own_cache: Path, source: str, monkeypatch: pytest.MonkeyPatch
):
    made = load_corpus(source, "bytes")
    assert isinstance(made.train, np.memmap) and isinstance(made.held_out, np.memmap)
    assert sorted(path.name for path in only_folder(own_cache).iterdir()) == [
        "corpus.json",
        "held_out.bin",
        "train.bin",
    ]
    assert load_corpus(source, "bytes") is made
    load_corpus.cache_clear()
    monkeypatch.setattr(corpora, "_read", None)
    again = load_corpus(source, "bytes")
    assert again is not made and same(again, made) and isinstance(again.train, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        again.train[0] = 1


def test_another_text_tokenizer_or_amount_is_another_corpus(
    own_cache: Path, source: str, tmp_path: Path
):
    first = load_corpus(source, "bytes")
    load_corpus(source, "bytes", 1.0)
    load_corpus(source, "bpe-258")
    (tmp_path / "text" / "000.txt").write_bytes(on_side(False, 1, seed=9)[0])
    load_corpus.cache_clear()
    assert load_corpus(source, "bytes").content_hash != first.content_hash
    assert len(list(own_cache.iterdir())) == 4


@pytest.mark.parametrize(
    ("change", "is_another"),
    [
        (lambda folder: None, False),
        (lambda folder: os.utime(folder / "000.txt", (1, 1)), False),
        (lambda folder: (folder / "notes.md").write_text("x"), False),
        (lambda folder: (folder / "000.txt").write_bytes(TRAIN[0][:-1] + b"!"), True),
        (lambda folder: (folder / "000.txt").unlink(), True),
        (lambda folder: (folder / "000.txt").rename(folder / "999.txt"), True),
        (lambda folder: (folder / "new.txt").write_text("x"), True),
    ],
    ids=["nothing", "time", "other-file", "content", "fewer", "order", "more"],
)
def test_a_local_source_is_what_its_files_hold(
    source: str, tmp_path: Path, change: Callable, is_another: bool
):
    before = source_identity(source)
    change(tmp_path / "text")
    assert (source_identity(source) != before) == is_another
    moved = shutil.copytree(tmp_path / "text", tmp_path / "elsewhere")
    assert source_identity(f"text:{moved}") == source_identity(source)


def edit(**fields) -> Callable[[Path], object]:
    def change(folder: Path):
        path = folder / "corpus.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


def flip(folder: Path):
    content = bytearray((folder / "train.bin").read_bytes())
    content[10] ^= 1
    (folder / "train.bin").write_bytes(content)


def into_file(folder: Path):
    shutil.rmtree(folder)
    folder.write_text("not a folder")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda folder: os.truncate(folder / "train.bin", 20),
    "cut-inside-a-token": lambda folder: os.truncate(folder / "train.bin", 21),
    "longer": lambda folder: os.truncate(folder / "held_out.bin", 2000),
    "empty": lambda folder: (folder / "held_out.bin").write_bytes(b""),
    "other-byte": flip,
    "swapped": lambda folder: shutil.copy(folder / "train.bin", folder / "held_out.bin"),
    "no-train": lambda folder: (folder / "train.bin").unlink(),
    "no-json": lambda folder: (folder / "corpus.json").unlink(),
    "cut-json": lambda folder: os.truncate(folder / "corpus.json", 30),
    "no-object": lambda folder: (folder / "corpus.json").write_text("[]"),
    "no-field": lambda folder: (folder / "corpus.json").write_text('{"vocabulary": 256}'),
    "other-vocabulary": edit(vocabulary=300),
    "no-number": edit(vocabulary="256"),
    "other-hash": edit(content_hash="0" * 64),
    "no-folder": shutil.rmtree,
    "a-file": into_file,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_files_are_made_again(
    own_cache: Path, source: str, monkeypatch: pytest.MonkeyPatch, damage: Callable
):
    # Held in memory: what is mapped would change, or vanish, with its file.
    mapped = load_corpus(source, "bytes")
    sound = mapped._replace(train=np.array(mapped.train), held_out=np.array(mapped.held_out))
    damage(only_folder(own_cache))
    load_corpus.cache_clear()
    again = load_corpus(source, "bytes")
    assert same(again, sound) and isinstance(again.train, np.memmap)
    load_corpus.cache_clear()
    monkeypatch.setattr(corpora, "_read", None)
    assert same(load_corpus(source, "bytes"), sound), "and are sound from then on"
    only_folder(own_cache)


def test_the_files_of_another_corpus_are_not_taken_for_this_one(
    own_cache: Path, source: str, tmp_path: Path
):
    load_corpus(write(tmp_path / "other", DOCUMENTS[1:]), "bytes")
    other = only_folder(own_cache)
    load_corpus(source, "bytes")
    (here,) = set(own_cache.iterdir()) - {other}
    shutil.rmtree(here)
    shutil.copytree(other, here)
    load_corpus.cache_clear()
    assert texts(load_corpus(source, "bytes").train) == TRAIN


def test_without_a_writable_cache_tokens_are_in_memory(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kept = load_corpus(source, "bytes")
    load_corpus.cache_clear()
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    corpus = load_corpus(source, "bytes")
    assert same(corpus, kept) and not isinstance(corpus.train, np.memmap)


def test_a_full_disk_leaves_nothing_behind(
    own_cache: Path, source: str, monkeypatch: pytest.MonkeyPatch
):
    def no_space(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    corpus = load_corpus(source, "bytes")
    assert not isinstance(corpus.train, np.memmap) and texts(corpus.train) == TRAIN
    assert list(own_cache.iterdir()) == []


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("there_before", ["nothing", "damaged"])
def test_processes_that_make_one_corpus_at_once(own_cache: Path, source: str, there_before: str):
    if there_before == "damaged":
        load_corpus(source, "bytes")
        flip(only_folder(own_cache))
        load_corpus.cache_clear()
    fork = multiprocessing.get_context("fork")
    together, answers, made = fork.Barrier(3), fork.SimpleQueue(), fork.Value("i", 0)
    read = corpora._read

    def read_and_count(*about):
        with made.get_lock():
            made.value += 1
        return read(*about)

    def child():
        corpora._read = read_and_count
        together.wait(30)
        corpus = load_corpus(source, "bytes")
        answers.put(
            (texts(corpus.train) == TRAIN, isinstance(corpus.train, np.memmap), corpus.content_hash)
        )

    children = [fork.Process(target=child) for _ in range(3)]
    for process in children:
        process.start()
    for process in children:
        process.join(60)
    assert [process.exitcode for process in children] == [0, 0, 0]
    assert made.value == 1, "the others wait for the first and read what it made"
    assert {answers.get() for _ in children} == {
        (True, True, load_corpus(source, "bytes").content_hash)
    }
    assert (only_folder(own_cache) / "corpus.json").is_file()
