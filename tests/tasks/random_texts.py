"""Texts of random words."""

import random
from pathlib import Path


def write_texts(folder: Path, documents: int = 100, words: int = 1400) -> str:
    """The source of a folder of texts: words of two to seven letters drawn from eighty, one text
    a document."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    known = [
        "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 7))) for _ in range(80)
    ]
    for number in range(documents):
        (folder / f"{number:03}.txt").write_text(" ".join(draw.choices(known, k=words)) + ".\n")
    return f"text:{folder}"
