"""Read the documents of a text source, which is always named explicitly.

python-stdlib    the running Python's standard library, source files without its tests: real text,
                 offline, the default
hub:NAME         a data set of the Hugging Face hub, streamed; also hub:NAME@CONFIG, and
                 hub:NAME@CONFIG#SPLIT (`train` if left out)
text:PATH        a file, or a folder of *.txt files
parquet:PATH     a Parquet file, or a folder of *.parquet files
jsonl:PATH       a file of JSON lines, or a folder of *.jsonl files

A document is a file in python-stdlib and text, and a row in the others.

The standard library differs between Python versions, so every version is another corpus with
another content hash.
"""

import hashlib
import os
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import UserError, did_you_mean

LOCAL_FORMATS = {"text": "*.txt", "parquet": "*.parquet", "jsonl": "*.jsonl"}

NO_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
"""Folders of Python's installation that are not the library: its tests, some of which are not text,
and other packages."""


def check_source(source: str) -> str:
    """Return the name unchanged. Raise ValueError, saying what is allowed, for any other."""
    is_hub = re.fullmatch(r"hub:[^@#]+(@[^@#]+)?(#[^@#]+)?", source)
    is_local = re.fullmatch(r"(text|parquet|jsonl):.+", source)
    if source == "python-stdlib" or is_hub or is_local:
        return source

    rest = source.partition(":")[2]
    allowed = ["python-stdlib", *(f"{kind}:{rest}" for kind in ("hub", *LOCAL_FORMATS))]
    raise ValueError(
        "the source of text must be 'python-stdlib', 'hub:NAME', 'hub:NAME@CONFIG',"
        " 'hub:NAME@CONFIG#SPLIT', 'text:PATH', 'parquet:PATH' or 'jsonl:PATH', not"
        f" {source[:60]!r}{did_you_mean(source, allowed)}"
    )


def outside(*names: str | None) -> list[str]:
    """Return the names, of sources or tokenizers, that lead to files or to the Hub: KIND:PLACE."""
    return [name for name in names if name and ":" in name]


def documents(source: str, text_field: str = "text") -> Iterator[bytes]:
    """Yield the documents of a source in order, as UTF-8 without byte 0, which is not text. Empty
    documents are left out.

    Bytes of a file that are not UTF-8 become U+FFFD, as a browser shows them.
    """
    if source == "python-stdlib" or source.startswith("text:"):
        texts = (path.read_bytes().decode("utf-8", errors="replace") for path in _files(source))
    else:
        texts = _texts_of_rows(source, text_field)
    for text in texts:
        document = text.encode().replace(b"\0", b"")
        if document:
            yield document


def source_identity(source: str) -> str:
    """Return a string that changes when a source may hold other documents: a hash of its files in
    order, or its name on the hub."""
    if source.startswith("hub:"):
        return source
    digest = hashlib.sha256()
    for path in _files(source):
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as e:
            raise UserError(f"the source '{source}': {path} cannot be read: {e.strerror}") from None
    kind = source.partition(":")[0]
    return f"{kind} {digest.hexdigest()}"


def _files(source: str) -> list[Path]:
    """Return a local source's files, sorted by their paths inside it.

    Raises UserError for a source without files, and for a pipe or a device among them: a link to
    /dev/zero has no end.
    """
    if source == "python-stdlib":
        root = Path(sysconfig.get_paths()["stdlib"])
        return sorted(_library(root), key=lambda path: path.relative_to(root).as_posix())

    kind, _, name = source.partition(":")
    root = Path(name)
    if root.is_file():
        return [root]

    pattern = LOCAL_FORMATS[kind]
    found = sorted(root.rglob(pattern), key=lambda path: path.relative_to(root).as_posix())
    files = [path for path in found if not path.is_dir()]
    for path in files:
        if not path.is_file():
            raise UserError(f"the source '{source}': {path} is not a file that can be read")
    if not files:
        raise UserError(
            f"the source '{source}' is neither a file nor a folder that holds {pattern} files"
        )
    return files


def _library(root: Path) -> Iterator[Path]:
    """Yield Python's own source files, except those that its build writes for one machine."""
    for folder, subfolders, names in os.walk(root):
        # os.walk descends only into the subfolders left in this list.
        subfolders[:] = [
            name for name in subfolders if name not in NO_LIBRARY and not name.startswith("config-")
        ]
        for name in names:
            if name.endswith(".py") and not name.startswith("_sysconfigdata"):
                yield Path(folder, name)


def _texts_of_rows(source: str, field: str) -> Iterator[str]:
    """Yield the text of every row. Raise UserError for a row without text."""
    for number, row in enumerate(_rows(source), start=1):
        if field not in row:
            raise UserError(
                f"the source '{source}' has no field '{field}'; it has"
                f" {', '.join(row)}{did_you_mean(field, row)}"
            )
        if not isinstance(row[field], str):
            raise UserError(
                f"the source '{source}': field '{field}' of row {number} is"
                f" {type(row[field]).__name__}, not text"
            )
        yield row[field]


def _rows(source: str) -> Iterator[dict]:
    """Yield the rows, each read when it is asked for."""
    import datasets

    kind, _, name = source.partition(":")
    request: dict[str, Any]
    if kind == "hub":
        name, _, split = name.partition("#")
        name, _, config = name.partition("@")
        request = {"path": name, "name": config or None, "split": split or "train"}
        instead = (
            "; without a network use 'python-stdlib', 'text:PATH', 'parquet:PATH' or 'jsonl:PATH'"
        )
    else:
        reader = "json" if kind == "jsonl" else kind
        files = [str(path) for path in _files(source)]
        request = {"path": reader, "data_files": files, "split": "train"}
        instead = ""

    try:
        yield from datasets.load_dataset(**request, streaming=True)
    except Exception as e:  # of many types: no network, no such data set, a damaged file
        raise UserError(
            f"the source '{source}' could not be read ({type(e).__name__}){instead}"
        ) from None
