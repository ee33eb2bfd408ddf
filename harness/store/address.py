"""A bucket's address: s3://BUCKET/PREFIX?OPTIONS or gs://BUCKET/PREFIX?OPTIONS.

Credentials of a bucket come from the environment, the role of the machine or the cloud's own files.
They never come from the address, because rows, logs and reports repeat it.
"""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from harness.errors import UserError, did_you_mean

OPTIONS = {
    "s3": ("region", "scheme", "endpoint_override", "tls_ca_file_path"),
    "gs": ("scheme", "endpoint_override", "project_id", "retry_limit_seconds"),
}
"""The options that an address may carry, by scheme: those of Arrow's options (and so of pandas')
that a store needs."""

ANONYMOUS = "anonymous@"
"""Before the bucket's name: read Google Cloud Storage without credentials."""


class Address(NamedTuple):
    """A bucket's address in its parts."""

    scheme: str

    host: str
    """The bucket's name, with ANONYMOUS before it where the user wrote that."""

    prefix: str

    options: tuple[tuple[str, str], ...]
    """Names and values after the question mark."""

    @property
    def bucket(self) -> str:
        return self.host.removeprefix(ANONYMOUS)

    def of(self, name: str) -> str:
        """Return the address of a file below the prefix; of the prefix itself for ""."""
        path = "/".join(part for part in (self.host, self.prefix, name) if part)
        query = "&".join(f"{key}={value}" for key, value in self.options)
        return f"{self.scheme}://{path}{f'?{query}' if query else ''}"


def bucket_address(where: str | Path) -> Address | None:
    """Return the parts of a bucket's address, or None for a path on a disk.

    Raises UserError for an address of another form, with an unknown option, or that carries
    credentials. The message never repeats what may be a secret.
    """
    text = str(where)
    scheme, colon, rest = text.partition(":")
    is_scheme = re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme)
    if not colon or not is_scheme or not (rest.startswith("//") or scheme in OPTIONS):
        return None

    _check_scheme(scheme, rest)
    _check_no_credentials(text, scheme)

    parts = urlsplit(text)
    address = Address(
        scheme=scheme,
        host=parts.netloc,
        prefix=parts.path.strip("/"),
        options=tuple(parse_qsl(parts.query, keep_blank_values=True)),
    )
    _check_bucket_and_prefix(address)

    start = f"{scheme}://{address.bucket}"
    if "#" in text:
        raise UserError(f"the store's address {start!r} holds a '#', which none has")
    for key, value in address.options:
        _check_option(scheme, start, key, value)
    return address


def _check_scheme(scheme: str, rest: str) -> None:
    if scheme in OPTIONS and rest.startswith("//"):
        return

    start = f"{scheme}://" if rest.startswith("//") else f"{scheme}:"
    suggestion = did_you_mean(scheme.lower(), OPTIONS).replace("'?", "://'?")
    raise UserError(
        "a store is a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX, and this address"
        f" begins with '{start}'{suggestion}"
    )


def _check_no_credentials(text: str, scheme: str) -> None:
    before_options = text.partition("?")[0].removeprefix(f"gs://{ANONYMOUS}")
    if "@" in before_options or ":" in urlsplit(text).netloc:
        raise UserError(
            f"the store's address, {scheme}://…, carries credentials, which rows and reports would"
            " repeat; give them in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
            " or GOOGLE_APPLICATION_CREDENTIALS), or use an instance role"
        )


def _check_bucket_and_prefix(address: Address) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", address.bucket):
        raise UserError(
            f"the store's address, {address.scheme}://…, names no bucket: 3 or more small letters,"
            " digits, '.', '_' and '-'"
        )

    prefix = address.prefix
    if not prefix:
        return
    is_clean = re.fullmatch(r"[A-Za-z0-9._=+/-]+", prefix)
    if not is_clean or not {"", ".", ".."}.isdisjoint(prefix.split("/")):
        start = f"{address.scheme}://{address.bucket}"
        raise UserError(
            f"the store's prefix in {start!r} may hold letters, digits and '._=+-' between single"
            f" '/', not {prefix[:80]!r}"
        )


def _check_option(scheme: str, start: str, key: str, value: str) -> None:
    if key not in OPTIONS[scheme]:
        hint = did_you_mean(key, OPTIONS[scheme])
        if re.search("key|secret|token|password|credential|role", key):
            hint = "; credentials belong in the environment or come from an instance role"
        raise UserError(
            f"the store's address {start!r} has the option '{key[:40]}'; allowed are"
            f" {', '.join(OPTIONS[scheme])}{hint}"
        )

    # No "@" either: HOST:PORT takes no credentials.
    if not re.fullmatch(r"[A-Za-z0-9._:\[\]/-]+", value):
        raise UserError(f"the store's address {start!r} has a value of '{key}' that cannot be one")

    if key == "scheme" and value not in ("http", "https"):
        raise UserError(
            f"the store's address {start!r} has the option 'scheme' {value!r}; allowed are http"
            " and https"
        )

    if key == "retry_limit_seconds" and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        raise UserError(
            f"the store's address {start!r} has the option 'retry_limit_seconds' {value!r}; it"
            " is a number of seconds"
        )
