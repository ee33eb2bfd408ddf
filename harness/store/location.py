"""A folder of files on a disk, or below a prefix of a bucket: the few operations that a store needs
of either.

>>> folder = Folder.at("s3://bucket/rows?region=eu-central-1")
>>> folder.put("_weights/0.safetensors", content)

A file appears under its name whole or not at all, and nobody's name leads out of the folder.
Credentials of a bucket come from the environment, its machine's role or the cloud's own files, and
never from its address, which rows, logs and reports repeat.
"""

import contextlib
import errno
import os
import re
import shutil
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pyarrow.fs

from harness.errors import UserError, did_you_mean

OPTIONS = {
    "s3": ("region", "scheme", "endpoint_override", "tls_ca_file_path"),
    "gs": ("scheme", "endpoint_override", "project_id", "retry_limit_seconds"),
}
"""Options of an address, by its scheme: of those that Arrow knows (and so pandas) the ones that
a store needs."""

ATTEMPTS, CONNECT_S, SILENT_S = 10, 5.0, 20.0
"""An S3 request is tried so often (AWS_MAX_ATTEMPTS says otherwise), with growing pauses: about
a minute in all. A server may take so many seconds to accept a connection, and send nothing for
so many."""

ONE_PUT_BYTES = 5_000_000
"""Larger S3 files are uploaded in parts; Arrow would do so from 10 MB on."""

CUT_OFF, READS = "Failed to flush response stream", 5
"""What Arrow says of an answer that ended in its middle, which it does not ask for again, and
how often it is asked for here."""

GCS_RETRY_S = 60.0
"""Seconds of retrying a request to Google Cloud Storage, unless the address has
retry_limit_seconds."""

TEMPORARY = "_tmp-"
STALE_S = 3600.0
"""A temporary file older than this was left by a process that is no more."""

FULL = (errno.ENOSPC, errno.EDQUOT)


class LeadsOut(UserError):
    """A name, or a link, that leads out of a folder."""


class Found(NamedTuple):
    """What a listing says of one name. A link that leads out of the folder is no file."""

    name: str
    is_file: bool
    size: int
    modified: datetime


class Folder(ABC):
    """Made by `at`. Names are relative, with "/" between their parts.

    Every operation raises UserError when the disk or the bucket does not let it, and LeadsOut,
    which is one, for a name that leads out of the folder, by itself or through a link.
    """

    where: str
    """As it was given: what messages call it."""

    @staticmethod
    def at(where: "str | Path") -> "Folder":
        """The folder at a path, or at s3://BUCKET/PREFIX or gs://BUCKET/PREFIX; it need not be
        there.

        Raises UserError for an address of another form, with an option that is not one, or that
        carries credentials.
        """
        address = bucket_address(where)
        return Bucket(address) if address else Disk(Path(where))

    def __str__(self) -> str:
        return self.where

    def put(self, name: str, content: "bytes | pa.Buffer") -> None:
        """Write a file, replacing any of that name, whole or not at all."""
        try:
            with self._saying("written"):
                self._put(checked_name(name), content)
        except FileNotFoundError as e:  # the folder itself went
            raise UserError(f"the store '{self}' cannot be written: {self._why(e)}") from None

    def get(self, name: str) -> bytes:
        """A file's content. Raises FileNotFoundError when there is none."""
        with self._saying("read", name):
            return self._get(checked_name(name))

    def size(self, name: str) -> int | None:
        """A file's length in bytes; None when there is no such file."""
        with self._saying("read", name):
            return self._size(checked_name(name))

    def entries(self, below: str = "") -> list[Found]:
        """What lies in the folder, or in one inside it, by name; nothing when that is not there."""
        with self._saying("read"):
            return sorted(self._entries(checked_name(below) if below else ""))

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._saying("written"), contextlib.suppress(FileNotFoundError):
            self._delete(checked_name(name))

    def move(self, name: str, target: str) -> None:
        """Give a file another name. Raises FileNotFoundError when there is none."""
        with self._saying("written"):
            self._move(checked_name(name), checked_name(target))

    def there(self) -> bool:
        """Whether there is such a folder; a bucket has those with something in them."""
        with self._saying("read"):
            return self._there()

    @abstractmethod
    def open(self, name: str) -> pa.NativeFile:
        """A file to read parts of. Raises OSError as it is."""

    @abstractmethod
    def address(self, name: str) -> str:
        """Where a file lies, from anywhere: an absolute path or a bucket's address."""

    @abstractmethod
    def path(self, name: str) -> str:
        """The same as a user would write it who wrote `where`."""

    @abstractmethod
    def make(self) -> None:
        """Make the folder if need be, and see that it can be written; sweep out what killed
        writers left behind."""

    @abstractmethod
    def make_inside(self, name: str) -> None:
        """Make a folder inside it, which a bucket does without."""

    @abstractmethod
    def clear(self) -> None:
        """Remove the folder and all that is in it, as far as that can be done."""

    @abstractmethod
    def _put(self, name: str, content: "bytes | pa.Buffer") -> None: ...
    @abstractmethod
    def _get(self, name: str) -> bytes: ...
    @abstractmethod
    def _size(self, name: str) -> int | None: ...
    @abstractmethod
    def _entries(self, below: str) -> list[Found]: ...
    @abstractmethod
    def _delete(self, name: str) -> None: ...
    @abstractmethod
    def _move(self, name: str, target: str) -> None: ...
    @abstractmethod
    def _there(self) -> bool: ...
    @abstractmethod
    def _why(self, e: OSError) -> str: ...

    @contextlib.contextmanager
    def _saying(self, done: str, name: str = "") -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as e:
            raise UserError(
                f"the store '{self}' cannot be {done}: {f'{name}: ' if name else ''}{self._why(e)}"
            ) from None


class Disk(Folder):
    """A folder on a local disk or a network one. A file is written under a temporary name beside
    its own, then renamed."""

    def __init__(self, path: Path):
        self.root, self.where = path, str(path)

    def open(self, name: str) -> pa.NativeFile:
        return pa.OSFile(str(self._inside(checked_name(name))))

    def address(self, name: str) -> str:
        return str(self.root.resolve() / name)

    def path(self, name: str) -> str:
        return str(self.root / name)

    def make(self) -> None:
        with self._saying("written"):
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f"{TEMPORARY}{uuid.uuid4().hex}"
            probe.touch()
            probe.unlink(missing_ok=True)
            for folder in (
                self.root,
                *(p for p in self.root.glob("_*") if p.is_dir() and not p.is_symlink()),
            ):
                for left in folder.glob(f"{TEMPORARY}*"):
                    with contextlib.suppress(FileNotFoundError):  # another driver sweeps, too
                        if time.time() - left.stat().st_mtime > STALE_S:
                            left.unlink()

    def make_inside(self, name: str) -> None:
        with self._saying("written"):
            self._inside(checked_name(name)).mkdir(exist_ok=True)

    def clear(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def _put(self, name: str, content: "bytes | pa.Buffer") -> None:
        target = self._inside(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{TEMPORARY}{target.name}-{uuid.uuid4().hex}")
        try:
            temporary.write_bytes(content)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def _get(self, name: str) -> bytes:
        return self._inside(name).read_bytes()

    def _size(self, name: str) -> int | None:
        path = self._inside(name)
        return path.stat().st_size if path.is_file() else None

    def _entries(self, below: str) -> list[Found]:
        if self.root.is_file():
            raise UserError(f"the store '{self}' is a file; it must be a folder")
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._inside(below)) as entries:
            for entry in entries:
                # renamed meanwhile; or a link to nothing
                with contextlib.suppress(FileNotFoundError):
                    about = entry.stat()
                    is_file = entry.is_file() and not (
                        entry.is_symlink() and self._leads_out(Path(entry.path))
                    )
                    found.append(
                        Found(
                            entry.name,
                            is_file,
                            about.st_size,
                            datetime.fromtimestamp(about.st_mtime, UTC),
                        )
                    )
        return found

    def _delete(self, name: str) -> None:
        (self._inside(name).parent / Path(name).name).unlink()

    def _move(self, name: str, target: str) -> None:
        self._inside(target).parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.root / name, self._inside(target))

    def _there(self) -> bool:
        return self.root.is_dir()

    def _why(self, e: OSError) -> str:
        why = e.strerror or str(e)
        return (
            f"{why}; finished trials are there, so free some space and run the same command again"
            if e.errno in FULL
            else why
        )

    def _inside(self, name: str) -> Path:
        path = self.root / name
        if self._leads_out(path):
            raise LeadsOut(f"the store '{self}' holds a link that leads out of it: '{name}'")
        return path

    def _leads_out(self, path: Path) -> bool:
        return not path.resolve().is_relative_to(self.root.resolve())


class Address(NamedTuple):
    """A bucket's address in its parts; `options` are those after the question mark."""

    scheme: str
    host: str
    prefix: str
    options: tuple[tuple[str, str], ...]

    def of(self, name: str) -> str:
        path = "/".join(filter(None, (self.host, self.prefix, name)))
        query = "&".join(f"{key}={value}" for key, value in self.options)
        return f"{self.scheme}://{path}{f'?{query}' if query else ''}"


class Bucket(Folder):
    """A prefix of a bucket. One PUT is whole or not at all; a request that fails is tried again
    for a while."""

    def __init__(self, address: Address):
        self.at_bucket, self.where = address, address.of("")
        self.base = "/".join(
            filter(None, (address.host.removeprefix("anonymous@"), address.prefix))
        )

    @property
    def files(self) -> pyarrow.fs.FileSystem:
        return _files(self.at_bucket._replace(prefix=""))

    def open(self, name: str) -> pa.NativeFile:
        return self.files.open_input_file(f"{self.base}/{checked_name(name)}")

    def address(self, name: str) -> str:
        return self.at_bucket.of(name)

    def path(self, name: str) -> str:
        return self.at_bucket.of(name)

    def make(self) -> None:
        probe = f"{TEMPORARY}{uuid.uuid4().hex}"
        self.put(probe, b"")
        self.delete(probe)
        for left in self.entries():
            if (
                left.name.startswith(TEMPORARY)
                and (datetime.now(UTC) - left.modified).total_seconds() > STALE_S
            ):
                self.delete(left.name)

    def make_inside(self, name: str) -> None:
        pass

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            self.files.delete_dir_contents(self.base, missing_dir_ok=True)

    def _put(self, name: str, content: "bytes | pa.Buffer") -> None:
        in_parts = self.at_bucket.scheme == "s3" and len(content) > ONE_PUT_BYTES
        stream = _files(self.at_bucket._replace(prefix=""), in_parts).open_output_stream(
            f"{self.base}/{name}"
        )
        stream.write(content)
        stream.close()

    def _get(self, name: str, reads: int = READS) -> bytes:
        try:
            with self.files.open_input_file(f"{self.base}/{name}") as file:
                return file.read()
        except OSError as e:
            if CUT_OFF not in str(e) or reads == 1:
                raise
            return self._get(name, reads - 1)

    def _entries(self, below: str) -> list[Found]:
        folder = f"{self.base}/{below}" if below else self.base
        infos = self.files.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True))
        return [
            Found(i.base_name, i.is_file, i.size or 0, i.mtime or datetime.fromtimestamp(0, UTC))
            for i in infos
        ]

    def _size(self, name: str) -> int | None:
        info = self.files.get_file_info(f"{self.base}/{name}")
        return info.size if info.is_file else None

    def _delete(self, name: str) -> None:
        self.files.delete_file(f"{self.base}/{name}")

    def _move(self, name: str, target: str) -> None:
        self._put(target, self._get(name))
        self._delete(name)

    def _there(self) -> bool:
        return bool(self._entries(""))

    def _why(self, e: OSError) -> str:
        said = re.sub(r"\s*\(Request ID: [^)]*\)", "", str(e).splitlines()[0])
        return (
            f"{said[:300]}; what is finished is kept, and the same command goes on once the bucket"
            " answers"
        )


def bucket_address(where: "str | Path") -> Address | None:
    """The parts of a bucket's address; None for a path on a disk.

    Raises UserError as `Folder.at` does, never repeating what may be a secret.
    """
    text = str(where)
    scheme, colon, rest = text.partition(":")
    if (
        not colon
        or not (rest.startswith("//") or scheme in OPTIONS)
        or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme)
    ):
        return None
    if scheme not in OPTIONS or not rest.startswith("//"):
        begins, close = (
            f"{scheme}:{'//' * rest.startswith('//')}",
            did_you_mean(scheme.lower(), OPTIONS).replace("'?", "://'?"),
        )
        raise UserError(
            "a store is a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX, and this address"
            f" begins with '{begins}'{close}"
        )
    parts = urlsplit(text)
    if "@" in text.partition("?")[0].removeprefix("gs://anonymous@") or ":" in parts.netloc:
        raise UserError(
            f"the store's address, {scheme}://…, carries credentials, which rows and reports would"
            " repeat; give them in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
            " or GOOGLE_APPLICATION_CREDENTIALS), or use an instance role"
        )
    prefix, bucket = parts.path.strip("/"), parts.netloc.removeprefix("anonymous@")
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", bucket):
        raise UserError(
            f"the store's address, {scheme}://…, names no bucket: 3 or more small letters, digits,"
            " '.', '_' and '-'"
        )
    named = f"{scheme}://{bucket}"
    if prefix and (
        not re.fullmatch(r"[A-Za-z0-9._=+/-]+", prefix)
        or not {"", ".", ".."}.isdisjoint(prefix.split("/"))
    ):
        raise UserError(
            f"the store's prefix in {named!r} may hold letters, digits and '._=+-' between single"
            f" '/', not {prefix[:80]!r}"
        )
    if parts.fragment or "#" in text:
        raise UserError(f"the store's address {named!r} holds a '#', which none has")
    options = tuple(parse_qsl(parts.query, keep_blank_values=True))
    for key, value in options:
        if key not in OPTIONS[scheme]:
            secret = re.search("key|secret|token|password|credential|role", key)
            hint = (
                "; credentials belong in the environment or come from an instance role"
                if secret
                else did_you_mean(key, OPTIONS[scheme])
            )
            raise UserError(
                f"the store's address {named!r} has the option '{key[:40]}'; allowed are"
                f" {', '.join(OPTIONS[scheme])}{hint}"
            )
        # no "@" either: HOST:PORT takes no credentials
        if not re.fullmatch(r"[A-Za-z0-9._:\[\]/-]+", value):
            raise UserError(
                f"the store's address {named!r} has a value of '{key}' that cannot be one"
            )
        if key == "scheme" and value not in ("http", "https"):
            raise UserError(
                f"the store's address {named!r} has the option 'scheme' {value!r}; allowed are http"
                " and https"
            )
        if key == "retry_limit_seconds" and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
            raise UserError(
                f"the store's address {named!r} has the option 'retry_limit_seconds' {value!r}; it"
                " is a number of seconds"
            )
    return Address(scheme, parts.netloc, prefix, options)


@cache
def _files(address: Address, in_parts: bool = False) -> pyarrow.fs.FileSystem:
    """Arrow's file system for a bucket; it keeps connections and credentials, so there is one in a
    process.

    in_parts: S3 files are begun before anything is written to them, which is how an upload of
    several parts that fails leaves nothing behind. Otherwise one that is small enough takes one
    request.
    """
    options = dict(address.options)
    if address.scheme == "gs":
        limit = float(options.pop("retry_limit_seconds", GCS_RETRY_S))
        anonymous = address.host.startswith("anonymous@")
        return pyarrow.fs.GcsFileSystem(
            anonymous=anonymous, retry_time_limit=timedelta(seconds=limit), **options
        )
    elsewhere = (
        "endpoint_override" in options
        or "AWS_ENDPOINT_URL" in os.environ
        or "AWS_ENDPOINT_URL_S3" in os.environ
    )
    if "region" not in options and not elsewhere:
        options["region"] = pyarrow.fs.resolve_s3_region(address.host)
    attempts = os.environ.get("AWS_MAX_ATTEMPTS", str(ATTEMPTS))
    if not attempts.isdecimal() or not int(attempts):
        raise UserError(
            f"the environment variable AWS_MAX_ATTEMPTS is {attempts!r}; it is a whole number"
            " from 1"
        )
    return pyarrow.fs.S3FileSystem(
        retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=int(attempts)),
        connect_timeout=CONNECT_S,
        request_timeout=SILENT_S,
        allow_delayed_open=not in_parts,
        **options,
    )


def checked_name(name: str) -> str:
    """The name, if it is one: relative, without empty parts, "." and "..", and printable. Raises
    LeadsOut otherwise."""
    if not name.isprintable() or not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise LeadsOut(f"the name {name[:80]!r} leads out of the store")
    return name


def beside(file: str) -> tuple[Folder, str]:
    """The folder that a file lies in, given by its path or its bucket's address, and the file's
    name there."""
    path, question, query = file.partition("?") if bucket_address(file) else (file, "", "")
    folder, _, name = path.rpartition("/")
    return Folder.at(f"{folder}{question}{query}"), name


def read_kept(pattern: str, trial_id: str) -> bytes:
    """The content of a trial's file: pattern has {} in place of the trial's id (`Store.weights`,
    `Store.checkpoints`).

    Raises FileNotFoundError when there is none, UserError when it cannot be read.
    """
    folder, name = beside(pattern.format("ID"))
    return folder.get(name.replace("ID", trial_id))
