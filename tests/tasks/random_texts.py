"""Texts of random words."""

import random
from pathlib import Path


def write_texts(folder: Path, documents: int = 100, words: int = 1400) -> str:
    """Write a folder of texts, one document each, and return it as a source. The words have two to
    seven letters and are drawn from eighty."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    known = [
        "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 7))) for _ in range(80)
    ]
    for number in range(documents):
        (folder / f"{number:03}.txt").write_text(" ".join(draw.choices(known, k=words)) + ".\n")
    return f"text:{folder}"
