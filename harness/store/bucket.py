"""A folder below a prefix of a bucket, in S3 or Google Cloud Storage, through Arrow's file
systems."""

import contextlib
import os
import re
import uuid
from datetime import UTC, datetime, timedelta
from functools import cache

import pyarrow as pa
import pyarrow.fs

from harness.errors import UserError
from harness.store.address import ANONYMOUS, Address
from harness.store.folder import STALE_S, Entry, Folder, checked_name
from harness.store.whole_file import TEMPORARY

ATTEMPTS = 10
"""An S3 request is attempted this many times, unless AWS_MAX_ATTEMPTS gives another number. With
the growing pauses between attempts, that takes about a minute."""

CONNECT_S = 5.0
"""Seconds that an S3 server may take to accept a connection."""

SILENT_S = 20.0
"""Seconds that an S3 server may send nothing during a request."""

GCS_RETRY_S = 60.0
"""Seconds for which a request to Google Cloud Storage is retried, unless the address has
retry_limit_seconds."""

ONE_PUT_BYTES = 5_000_000
"""S3 files larger than this are uploaded in parts; Arrow itself would do so from 10 MB on."""

CUT_OFF = "Failed to flush response stream"
"""Arrow's error for a response that ended early. Arrow does not retry such a request."""

READS = 5
"""A read whose response ends early is attempted this many times here."""


class Bucket(Folder):
    """A folder given by its bucket's address. One PUT writes a whole file or nothing. A request
    that fails is retried for a while."""

    def __init__(self, address: Address):
        self.bucket_address = address
        self.where = address.of("")
        self.base = f"{address.bucket}/{address.prefix}" if address.prefix else address.bucket

    @property
    def file_system(self) -> pyarrow.fs.FileSystem:
        return file_system(self.bucket_address._replace(prefix=""))

    def open(self, name: str) -> pa.NativeFile:
        return self.file_system.open_input_file(f"{self.base}/{checked_name(name)}")

    def address(self, name: str) -> str:
        return self.bucket_address.of(name)

    def path(self, name: str) -> str:
        return self.bucket_address.of(name)

    def make(self) -> None:
        probe = f"{TEMPORARY}{uuid.uuid4().hex}"
        self.put(probe, b"")
        self.delete(probe)

        for entry in self.entries():
            age = datetime.now(UTC) - entry.modified
            if entry.name.startswith(TEMPORARY) and age.total_seconds() > STALE_S:
                self.delete(entry.name)

    def make_inside(self, name: str) -> None:
        pass

    def probe_inside(self, name: str) -> None:
        pass  # no folders, no links: what can be written at all can be written here

    def discard(self, name: str) -> None:
        with self._user_errors("written", name):
            info = self.file_system.get_file_info(f"{self.base}/{checked_name(name)}")
            if info.type == pyarrow.fs.FileType.Directory:
                self.file_system.delete_dir(info.path)
            elif info.is_file:
                self.file_system.delete_file(info.path)

    def above(self) -> list[Folder]:
        above: list[Folder] = []
        prefix = self.bucket_address.prefix
        while prefix:
            prefix = prefix.rpartition("/")[0]
            above.append(Bucket(self.bucket_address._replace(prefix=prefix)))
        return above

    def beside(self, suffix: str) -> str:
        prefix = self.bucket_address.prefix
        return self.bucket_address._replace(prefix=f"{prefix}{suffix}").of("")

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            self.file_system.delete_dir_contents(self.base, missing_dir_ok=True)

    def _put(self, name: str, content: bytes | pa.Buffer) -> None:
        in_parts = self.bucket_address.scheme == "s3" and len(content) > ONE_PUT_BYTES
        files = file_system(self.bucket_address._replace(prefix=""), in_parts)
        stream = files.open_output_stream(f"{self.base}/{name}")
        stream.write(content)
        stream.close()

    def _get(self, name: str, reads: int = READS) -> bytes:
        try:
            with self.file_system.open_input_file(f"{self.base}/{name}") as file:
                return file.read()
        except OSError as e:
            if CUT_OFF not in str(e) or reads == 1:
                raise
            return self._get(name, reads - 1)

    def _entries(self, below: str) -> list[Entry]:
        folder = f"{self.base}/{below}" if below else self.base
        selector = pyarrow.fs.FileSelector(folder, allow_not_found=True)
        return [
            Entry(
                name=info.base_name,
                is_file=info.is_file,
                size=info.size or 0,
                modified=info.mtime or datetime.fromtimestamp(0, UTC),
            )
            for info in self.file_system.get_file_info(selector)
        ]

    def _size(self, name: str) -> int | None:
        info = self.file_system.get_file_info(f"{self.base}/{name}")
        return info.size if info.is_file else None

    def _delete(self, name: str) -> None:
        self.file_system.delete_file(f"{self.base}/{name}")

    def _move(self, name: str, target: str) -> None:
        self._put(target, self._get(name))
        self._delete(name)

    def _there(self) -> bool:
        return bool(self._entries(""))

    def _explain(self, e: OSError) -> str:
        first_line = str(e).splitlines()[0]
        reason = re.sub(r"\s*\(Request ID: [^)]*\)", "", first_line)
        return (
            f"{reason[:300]}; what is finished is kept; once the bucket answers, run the same"
            " command again to continue"
        )


@cache
def file_system(address: Address, in_parts: bool = False) -> pyarrow.fs.FileSystem:
    """Return Arrow's file system for a bucket. The file system keeps connections and credentials,
    so a process makes only one.

    in_parts: begin an S3 upload before its first byte is written. An upload in several parts that
    fails then leaves nothing behind. Otherwise a file that is small enough takes one request.
    """
    if address.scheme == "gs":
        return _google(address)
    return _s3(address, in_parts)


def _google(address: Address) -> pyarrow.fs.FileSystem:
    options = dict(address.options)
    limit = float(options.pop("retry_limit_seconds", GCS_RETRY_S))
    return pyarrow.fs.GcsFileSystem(
        anonymous=address.host.startswith(ANONYMOUS),
        retry_time_limit=timedelta(seconds=limit),
        **options,
    )


def _s3(address: Address, in_parts: bool) -> pyarrow.fs.FileSystem:
    options = dict(address.options)
    elsewhere = (
        "endpoint_override" in options
        or "AWS_ENDPOINT_URL" in os.environ
        or "AWS_ENDPOINT_URL_S3" in os.environ
    )
    if "region" not in options and not elsewhere:
        options["region"] = pyarrow.fs.resolve_s3_region(address.host)

    return pyarrow.fs.S3FileSystem(
        retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=_attempts()),
        connect_timeout=CONNECT_S,
        request_timeout=SILENT_S,
        allow_delayed_open=not in_parts,
        **options,
    )


def _attempts() -> int:
    """Return how often an S3 request is attempted. Raises UserError when AWS_MAX_ATTEMPTS is not a
    whole number from 1."""
    attempts = os.environ.get("AWS_MAX_ATTEMPTS", str(ATTEMPTS))
    if not attempts.isdecimal() or not int(attempts):
        raise UserError(
            f"the environment variable AWS_MAX_ATTEMPTS is {attempts!r}; it is a whole number"
            " from 1"
        )
    return int(attempts)
