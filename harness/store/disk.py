"""A folder on a local disk or a network disk."""

import contextlib
import errno
import os
import shutil
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from harness.errors import UserError
from harness.store.folder import FULL, STALE_S, Entry, Folder, LeadsOut, checked_name
from harness.store.whole_file import TEMPORARY, write_whole


class Disk(Folder):
    """A folder given by its path. Each file is written under a temporary name beside its own, then
    renamed."""

    def __init__(self, path: Path):
        self.root = path
        self.where = str(path)

    def open(self, name: str) -> pa.NativeFile:
        return pa.OSFile(str(self._inside(checked_name(name))))

    def address(self, name: str) -> str:
        return os.path.join(os.path.realpath(self.root), name)

    def path(self, name: str) -> str:
        return str(self.root / name)

    def make(self) -> None:
        with self._user_errors("written"):
            try:
                self.root.mkdir(parents=True, exist_ok=True)
            except FileNotFoundError as e:  # below /proc, say, where nobody can make a folder
                raise UserError(
                    f"the store '{self}' cannot be written: {self._explain(e)}"
                ) from None

            _probe(self.root)

            self._delete_stale(self.root)
            for folder in self.root.glob("_*"):
                if folder.is_dir() and not folder.is_symlink():
                    self._delete_stale(folder)

    def make_inside(self, name: str) -> None:
        with self._user_errors("written"):
            self._inside(checked_name(name)).mkdir(exist_ok=True)

    def probe_inside(self, name: str) -> None:
        with self._user_errors("written", name):
            folder = self._inside(checked_name(name))
            if os.path.lexists(folder):
                _probe(folder)

    def discard(self, name: str) -> None:
        path = self.root / checked_name(name)
        with self._user_errors("written", name):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def above(self) -> list[Folder]:
        return [Disk(parent) for parent in Path(os.path.realpath(self.root)).parents]

    def beside(self, suffix: str) -> str:
        return str(self.root.with_name(self.root.name + suffix))

    def clear(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def _delete_stale(self, folder: Path) -> None:
        """Delete the temporary files in a folder whose writers have ended."""
        for file in folder.glob(f"{TEMPORARY}*"):
            with contextlib.suppress(FileNotFoundError):  # another driver deletes them, too
                if time.time() - file.stat().st_mtime > STALE_S:
                    file.unlink()

    def _put(self, name: str, content: bytes | pa.Buffer) -> None:
        target = self.root / name
        if self._leads_out(target.parent):
            raise LeadsOut(_led_out(self, name))
        folder_is_new = not target.parent.exists()
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_whole(target, content)  # replaces a link under this name, and does not follow it
        except OSError:
            if folder_is_new:  # it may hold the last room that there is
                with contextlib.suppress(OSError):
                    target.parent.rmdir()
            raise

    def _get(self, name: str) -> bytes:
        return self._inside(name).read_bytes()

    def _size(self, name: str) -> int | None:
        path = self._inside(name)
        return path.stat().st_size if path.is_file() else None

    def _entries(self, below: str) -> list[Entry]:
        if self.root.is_file():
            raise UserError(f"the store '{self}' is a file; it must be a folder")

        entries = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._inside(below)) as listing:
            for item in listing:
                # The file was renamed meanwhile.
                with contextlib.suppress(FileNotFoundError):
                    entries.append(self._entry(item))
        return entries

    def _entry(self, item: os.DirEntry[str]) -> Entry:
        path = Path(item.path)
        # A link to nothing, or to itself, has no size of its own either.
        astray = item.is_symlink() and (self._leads_out(path) or not path.exists())
        stat = item.stat(follow_symlinks=not astray)
        return Entry(
            name=item.name,
            is_file=not astray and item.is_file(),
            size=stat.st_size,
            modified=datetime.fromtimestamp(stat.st_mtime, UTC),
        )

    def _delete(self, name: str) -> None:
        (self._inside(name).parent / Path(name).name).unlink()

    def _move(self, name: str, target: str) -> None:
        self._inside(target).parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.root / name, self._inside(target))

    def _there(self) -> bool:
        return self.root.is_dir()

    def _explain(self, e: OSError) -> str:
        reason = e.strerror or str(e)
        if e.errno == errno.EEXIST and self.root.is_symlink():
            target = os.readlink(self.root)
            return f"it is a link to '{target}', which is not a folder; make it one"
        if e.errno not in FULL:
            return reason
        return (
            f"{reason}; what was written before is kept, so free some space and run the same"
            " command again"
        )

    def _inside(self, name: str) -> Path:
        """Return a name's path. Raises LeadsOut when a link on the way leads out of the folder."""
        path = self.root / name
        if self._leads_out(path):
            raise LeadsOut(_led_out(self, name))
        return path

    def _leads_out(self, path: Path) -> bool:
        # not Path.resolve, which raises RuntimeError on a link that leads to itself
        return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.root))


def _led_out(folder: Folder, name: str) -> str:
    return f"the store '{folder}' holds a link that leads out of it: '{name}'"


def _probe(folder: Path) -> None:
    """Write a file in a folder and remove it. Raises OSError when that cannot be done."""
    probe = folder / f"{TEMPORARY}{uuid.uuid4().hex}"
    probe.touch(exist_ok=False)
    probe.unlink(missing_ok=True)
