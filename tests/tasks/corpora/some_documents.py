"""Documents whose side is known, in files of every format."""

import hashlib
import json
import random
from pathlib import Path

import datasets
import numpy as np

from harness.language import Corpus


def share(document: bytes) -> float:
    """Return where in [0, 1) a document's hash lies: below 0.05 the document is held out."""
    return int(hashlib.sha256(document).hexdigest()[:13], 16) / 16**13


def on_side(held_out: bool, count: int, seed: int = 0) -> list[bytes]:
    """Return different documents, all of them on one side."""
    draw = random.Random(seed)
    documents: list[bytes] = []
    while len(documents) < count:
        document = f"document {draw.random()} é".encode()
        if (share(document) < 0.05) == held_out:
            documents.append(document)
    return documents


TRAIN = on_side(False, 6)
HELD_OUT = on_side(True, 2)
DOCUMENTS = [*TRAIN[:3], *HELD_OUT, *TRAIN[3:]]


def write(folder: Path, texts: list[bytes]) -> str:
    """Write a file for each text, and return the folder as a source."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        (folder / f"{number:03}.txt").write_bytes(text)
    return f"text:{folder}"


def texts(tokens: np.ndarray) -> list[bytes]:
    """Return the documents in tokens that are bytes."""
    *documents, rest = tokens.astype(np.uint8).tobytes().split(b"\0")
    assert rest == b"", "a separator ends the last document too"
    return documents


def same(a: Corpus, b: Corpus) -> bool:
    """Return whether two corpora are equal in every field, and in the type of their tokens."""
    if a.train.dtype != b.train.dtype:
        return False
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


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
    datasets.Dataset.from_dict(fields).to_parquet(path)
    return path


ROWS = {"id": list(range(8)), "text": [document.decode() for document in DOCUMENTS]}
