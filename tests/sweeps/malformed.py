"""A malformed sweep file: its text, the line that its message must name, and what it must say."""

from typing import NamedTuple


class Bad(NamedTuple):
    """A malformed file, the line that its message must name, and what the message must hold."""

    text: str
    line: int
    fragments: tuple[str, ...]


def bad(text: str, line: int, *fragments: str) -> Bad:
    return Bad(text, line, fragments)


def sphere(rest: str, line: int, *fragments: str) -> Bad:
    """`rest` begins on line 5, below the entry of a sphere task."""
    return Bad("name: a\nseeds: [0]\ntasks:\n  - task: sphere\n    " + rest, line, fragments)


def mnist(rest: str, line: int, *fragments: str) -> Bad:
    """`rest` begins on line 5, below the entry of an mnist task."""
    return Bad("name: a\nseeds: [0]\ntasks:\n  - task: mnist\n    " + rest, line, fragments)


def top(first: str, line: int, *fragments: str) -> Bad:
    """A whole valid file but for its first lines."""
    return Bad(first + "\ntasks:\n  - task: sphere\n", line, fragments)
