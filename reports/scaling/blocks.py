"""Paragraphs, tables and lists, for a terminal or in Markdown. A page fills its template with
them."""

import textwrap
from typing import NamedTuple

from harness.errors import strip_control_chars
from reports.formats.words import plain

WIDTH = 100
"""Columns of a terminal."""


class Grid(NamedTuple):
    """A table under a title. Every cell is text."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


class Listing(NamedTuple):
    """Sentences under a title."""

    title: str
    sentences: list[str]


Block = str | Grid | Listing
"""A paragraph, a table or a list."""


def as_text(blocks: list[Block]) -> str:
    """Return the blocks for a terminal, without characters that would steer it."""
    return strip_control_chars("\n\n".join(map(_text, blocks)))


def as_markdown(title: str, blocks: list[Block]) -> str:
    """Return the blocks under a title, as Markdown in which no text of the user's is markup."""
    text = "\n\n".join([f"# {plain(title)}", *map(_markdown, blocks)])
    return strip_control_chars(text) + "\n"


def _text(block: Block) -> str:
    if isinstance(block, str):
        return textwrap.fill(block, WIDTH)
    if isinstance(block, Listing):
        points = [
            textwrap.fill(f"- {sentence}", WIDTH, subsequent_indent="  ")
            for sentence in block.sentences
        ]
        return "\n".join([f"{block.title}:", *points])

    lines = [block.head, *block.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    # The last column, of sentences, goes on below itself.
    before = sum(widths[:-1]) + 2 * len(widths) - 2
    texts = []
    for *cells, last in lines:
        start = "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=False))
        wrapped = textwrap.wrap(last, max(WIDTH - before, 24)) or [""]
        texts += [(start + wrapped[0]).rstrip()]
        texts += [" " * before + line for line in wrapped[1:]]
    title = textwrap.fill(f"{block.title}:", WIDTH)
    return "\n".join([title, *(f"  {text}" for text in texts)])


def _markdown(block: Block) -> str:
    if isinstance(block, str):
        return plain(block)
    if isinstance(block, Listing):
        return "\n".join([f"**{plain(block.title)}**", "", *(f"- {plain(s)}" for s in block[1])])
    lines = [block.head, ("---",) * len(block.head), *block.rows]
    rows = [
        "| " + " | ".join(cell if cell == "---" else plain(cell) for cell in line) + " |"
        for line in lines
    ]
    return "\n".join([f"**{plain(block.title)}**", "", *rows])
