"""Documents whose side is known, in files of every format."""

import hashlib
import json
import random
from pathlib import Path

import datasets
import numpy as np

from harness.language import Corpus


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
