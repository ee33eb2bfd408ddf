"""A folder of files, on a disk or below a prefix of a bucket: the operations that a store needs.

A file appears under its name whole or not at all, and no name leads out of the folder.
`harness.store.disk` and `harness.store.bucket` implement the operations; make either with
`harness.store.location.folder_at`.
"""

import contextlib
import errno
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatch
from typing import NamedTuple

import pyarrow as pa

from harness.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors that mean that the disk, or the user's quota of it, is full."""

OF_ONE_FILE = (*FULL, errno.EFBIG, errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST)
"""Errors after which another, perhaps smaller file may still be written."""

STALE_S = 3600.0
"""A temporary file older than this many seconds was left by a process that has ended."""

AT_ONCE = 16
"""Files that are read at once. The threads wait for a bucket or a network disk most of the time."""


class LeadsOut(UserError):
    """A name, or a link, that leads out of a folder."""


class DoesNotFit(UserError):
    """One file cannot be written, while another, perhaps smaller one may well be."""


class Entry(NamedTuple):
    """One name in a listing of a folder."""

    name: str

    is_file: bool
    """False, too, for a link that leads out of the folder, to itself or to nothing."""

    size: int
    """Bytes."""

    modified: datetime


class Folder(ABC):
    """A folder that need not exist yet. Names in it are relative, with "/" between their parts.

    Every operation raises UserError when the disk or the bucket refuses it. It raises LeadsOut,
    a kind of UserError, when a name leads out of the folder, by itself or through a link.
    """

    where: str
    """The path or address as the user gave it, which messages repeat."""

    def __str__(self) -> str:
        return self.where

    def put(self, name: str, content: bytes | pa.Buffer) -> None:
        """Write a file whole or not at all, replacing any file of that name."""
        try:
            with self._user_errors("written"):
                self._put(checked_name(name), content)
        except FileNotFoundError as e:  # the folder itself was removed
            raise UserError(f"the store '{self}' cannot be written: {self._explain(e)}") from None

    def get(self, name: str) -> bytes:
        """Return a file's content. Raises FileNotFoundError when there is no such file."""
        with self._user_errors("read", name):
            return self._get(checked_name(name))

    def get_if_there(self, name: str) -> bytes | None:
        """Return a file's content, or None when there is no such file."""
        try:
            return self.get(name)
        except FileNotFoundError:
            return None

    def size(self, name: str) -> int | None:
        """Return a file's length in bytes, or None when there is no such file."""
        with self._user_errors("read", name):
            return self._size(checked_name(name))

    def entries(self, below: str = "") -> list[Entry]:
        """List this folder, or the folder `below` inside it, by name. The list is empty when the
        folder does not exist."""
        with self._user_errors("read", below):
            return sorted(self._entries(checked_name(below) if below else ""))

    def matching(self, below: str, pattern: str) -> list[str]:
        """Return the names of the files in the folder `below` that match a shell pattern, each
        relative to this folder."""
        return [
            f"{below}/{entry.name}"
            for entry in self.entries(below)
            if entry.is_file and fnmatch(entry.name, pattern)
        ]

    def delete(self, name: str) -> None:
        """Remove a file if it exists."""
        with self._user_errors("written"), contextlib.suppress(FileNotFoundError):
            self._delete(checked_name(name))

    def move(self, name: str, target: str) -> None:
        """Give a file another name. Raises FileNotFoundError when there is no such file."""
        with self._user_errors("written"):
            self._move(checked_name(name), checked_name(target))

    def there(self) -> bool:
        """Return whether the folder exists. In a bucket, a folder exists once it holds a file."""
        with self._user_errors("read"):
            return self._there()

    @abstractmethod
    def open(self, name: str) -> pa.NativeFile:
        """Open a file to read parts of it. Raises OSError, not UserError."""

    @abstractmethod
    def address(self, name: str) -> str:
        """Return a file's absolute path or its address in a bucket, valid from any directory."""

    @abstractmethod
    def path(self, name: str) -> str:
        """Return a file's path or address, which begins with the folder as the user wrote it."""

    @abstractmethod
    def make(self) -> None:
        """Create the folder if need be, check that it can be written, and delete temporary files
        that killed writers left behind."""

    @abstractmethod
    def make_inside(self, name: str) -> None:
        """Create a folder inside this one; a bucket needs none."""

    @abstractmethod
    def probe_inside(self, name: str) -> None:
        """Check that a folder inside this one can be written, if it exists. Raises UserError when
        it cannot, and LeadsOut when it is a link that leads out."""

    @abstractmethod
    def discard(self, name: str) -> None:
        """Remove whatever has this name: a file, a link itself, or a folder with everything in
        it."""

    @abstractmethod
    def above(self) -> "list[Folder]":
        """Return the folders that this one lies in, nearest first."""

    @abstractmethod
    def beside(self, suffix: str) -> str:
        """Return the path or address of a neighbour: this folder's own, with `suffix` added to its
        name."""

    @abstractmethod
    def clear(self) -> None:
        """Remove the folder and everything in it, as far as possible."""

    @abstractmethod
    def _put(self, name: str, content: bytes | pa.Buffer) -> None: ...
    @abstractmethod
    def _get(self, name: str) -> bytes: ...
    @abstractmethod
    def _size(self, name: str) -> int | None: ...
    @abstractmethod
    def _entries(self, below: str) -> list[Entry]: ...
    @abstractmethod
    def _delete(self, name: str) -> None: ...
    @abstractmethod
    def _move(self, name: str, target: str) -> None: ...
    @abstractmethod
    def _there(self) -> bool: ...
    @abstractmethod
    def _explain(self, e: OSError) -> str:
        """Return the reason for an error, and what the user can do about it."""

    @contextlib.contextmanager
    def _user_errors(self, done: str, name: str = "") -> Iterator[None]:
        """Turn every OSError but FileNotFoundError into a UserError that says what could not be
        done ("read" or "written")."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as e:
            kind = DoesNotFit if e.errno in OF_ONE_FILE else UserError
            file = f"{name}: " if name else ""
            raise kind(f"the store '{self}' cannot be {done}: {file}{self._explain(e)}") from None


def checked_name(name: str) -> str:
    """Return the name unchanged. Raises LeadsOut unless the name is relative and printable,
    without empty parts, "." and ".."."""
    if not name.isprintable() or not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise LeadsOut(f"the name {name[:80]!r} leads out of the store")
    return name
