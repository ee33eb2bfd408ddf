"""A YAML file as plain values, with the line of every key and value kept for error messages.

PyYAML's composer gives nodes with positions and builds no objects. Scalars follow YAML 1.2's core
schema, so `1e-3` is a number and `no`, `on` and `1:30` are text (YAML 1.1 reads them as text,
false, true and 90).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import UserError
from harness.sweeps.small_files import read_small

MAX_DEPTH = 20

_SCALARS: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"|~|null|Null|NULL"), lambda _: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda s: s.lower() == "true"),
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda s: float(s.replace(".", ""))),
)
_STANDARD_TAGS = {
    f"tag:yaml.org,2002:{t}"
    for t in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp")
}

Path_ = tuple[str | int, ...]


@dataclass
class Document:
    """A YAML file. `value` is built of dict, list, str, int, float, bool and None alone."""

    source: str
    text: str
    value: Any = None
    lines: dict[Path_, int] = field(default_factory=dict)
    """The line of every key and value."""

    def where(self, path: Path_) -> str:
        """Return `file:line` of the nearest enclosing key or value of `path`."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.source}:{self.lines.get(path, 1)}"


class _Loader(yaml.SafeLoader):
    """A SafeLoader that refuses anchors, aliases and deep nesting while composing, before a small
    file can grow."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if event.anchor:
            raise _Refused(
                problem="anchors and aliases are not allowed; write the value out",
                problem_mark=event.start_mark,
            )
        if self.depth > MAX_DEPTH:
            raise _Refused(
                problem=f"is nested more than {MAX_DEPTH} levels deep",
                problem_mark=event.start_mark,
            )
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Refused(yaml.MarkedYAMLError):
    """Valid YAML that a sweep file may not use."""


def read_document(path: Path) -> Document:
    """Read and check a YAML file. Raises UserError, with the line, for everything that is not
    plain data."""
    raw = read_small(path, str(path), "a sweep file")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as e:
        line = raw[: e.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: is not UTF-8 text (byte {raw[e.start]:#04x})") from None
    return parse_document(text, str(path))


def parse_document(text: str, source: str) -> Document:
    """Check a YAML text as `read_document` does; `source` names it in messages."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        line = mark.line + 1 if mark else 1
        problem = ", ".join(part for part in (e.context, e.problem) if part)
        if not isinstance(e, _Refused):
            problem = f"is not valid YAML: {problem}"
        raise UserError(f"{source}:{line}: {problem}") from None
    except yaml.reader.ReaderError as e:
        line = text[: e.position].count("\n") + 1
        raise UserError(
            f"{source}:{line}: holds a character that YAML forbids (U+{ord(text[e.position]):04X})"
        ) from None
    except (ValueError, OverflowError):
        # chr() of an escape such as "\UFFFFFFFF", which gives no position
        raise UserError(
            f"{source}:1: is not valid YAML: an escape in a quoted text names no character"
        ) from None
    if node is None:
        raise UserError(f"{source}:1: is empty; a sweep file needs at least name, seeds and tasks")

    document = Document(source, text)
    document.value = _build(node, (), document)
    return document


def _build(node: yaml.Node, path: Path_, document: Document) -> Any:
    """Return a node's plain value, and note its lines in the document."""
    line = node.start_mark.line + 1
    here = f"{document.source}:{line}"
    document.lines.setdefault(path, line)
    if node.tag not in _STANDARD_TAGS:
        raise UserError(
            f"{here}: the tag {_short(node.tag)!r} is not allowed; a sweep file is plain data"
        )

    if isinstance(node, yaml.ScalarNode):
        quoted = node.style in ("'", '"', "|", ">")
        return node.value if quoted else _scalar(node.value, here)
    if isinstance(node, yaml.SequenceNode):
        return [_build(child, (*path, i), document) for i, child in enumerate(node.value)]
    return dict(_items(node, path, document))


def _items(node: yaml.Node, path: Path_, document: Document) -> Iterator[tuple[str, Any]]:
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise UserError(f"{document.source}:{line}: a key must be a plain word")
        if key_node.tag not in _STANDARD_TAGS:
            raise UserError(
                f"{document.source}:{line}: the tag '{_short(key_node.tag)}' is not allowed; a"
                " sweep file is plain data"
            )

        key = key_node.value
        if key in seen:
            raise UserError(
                f"{document.source}:{line}: the key {_short(key)!r} stands twice; it is first given"
                f" on line {seen[key]}"
            )
        seen[key] = line
        document.lines[(*path, key)] = line
        yield key, _build(value_node, (*path, key), document)


def _scalar(text: str, here: str) -> Any:
    for pattern, convert in _SCALARS:
        if pattern.fullmatch(text):
            try:
                return convert(text)
            except ValueError:  # Python refuses integers of more than 4300 digits
                raise UserError(f"{here}: the number '{_short(text)}' is too long") from None
    return text


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
