"""What of a row may leave the machine: figures, settings and names, but no path, host name, user
name or token.

    leaving = what_leaves(latest_rows("runs/quickstart"))
    leaving.rows        # what is sent, with NOT_SENT in place of a text that is not
    leaving.withheld    # {"source": 2}: how many values of a column are not sent
"""

import getpass
import os
import platform
import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from harness.store.data_note import NOTES
from harness.store.schema import arrow_schema

NOT_SENT = "(not sent)"

HASHES = ("trial_id", "data_hash", "commit", "measured_commit")
"""Columns of hexadecimal digits; anything else in them is not sent."""

NEVER = (
    "failure_message",
    "config_json",
    "settings_json",
    "environment_json",
    "weights_file",
    "weights_sha256",
    "pictures_file",
)
"""Columns that hold files' names, or text of any origin. The fields of the configuration are sent
one by one."""

LISTS = {field.name: field.type for field in arrow_schema() if pa.types.is_list(field.type)}

NUMBERS = frozenset(name for name, kind in LISTS.items() if pa.types.is_floating(kind.value_type))
"""Columns of lists of numbers."""

UNCHECKED = LISTS.keys() - NUMBERS
"""Columns of lists that hold texts, alone or in structs; they are not sent."""

VERSIONS = ("unilaw_version", "python_version", "torch_version", "ray_version")
"""Columns of numbers between dots, which otherwise look like an address."""

HUB = re.compile(r"hub:[\w.-]+(/[\w.-]+)?(@[\w.-]+)?(#[\w.-]+)?")
"""A name on the Hub, which is no path."""

LOOKS_LIKE_A_PLACE = re.compile(r"[/\\~:]|\S@\S|\w\.\w+\.\w")
"""Paths, addresses, SOURCE:PATH, USER@HOST and HOST.DOMAIN.TLD."""

LOOKS_LIKE_A_TOKEN = re.compile(r"(?=\w*\d)(?=\w*[A-Za-z])\w{20,}")

NAMES_A_SECRET = re.compile("TOKEN|KEY|SECRET|PASS|CREDENTIAL|AUTH", re.I)
"""Names of environment variables whose values are secrets."""


class Leaving(NamedTuple):
    """Rows as they may leave, and how many values of which column were withheld."""

    rows: pd.DataFrame
    withheld: dict[str, int]


def what_leaves(rows: pd.DataFrame) -> Leaving:
    """Return the columns of `latest_rows` that may leave, one by one checked."""
    private = _private_words()
    kept: dict[str, pd.Series] = {}
    withheld: dict[str, int] = {}
    for name in map(str, rows.columns):
        column = rows[name]
        if name in NEVER or name in UNCHECKED:
            continue
        if name in NUMBERS or not _is_text(column):
            kept[name] = column
            continue
        if column.map(lambda value: isinstance(value, list | dict)).any():
            withheld[name] = int(column.notna().sum())
            continue

        values = column.dropna().unique()
        secret = [value for value in values if not _may_leave(value, name, private)]
        is_secret = column.isin(secret)
        kept[name] = column.mask(is_secret, NOT_SENT)
        if is_secret.any():
            withheld[name] = int(is_secret.sum())
    return Leaving(pd.DataFrame(kept), withheld)


def _is_text(column: pd.Series) -> bool:
    return column.dtype == object or isinstance(column.dtype, pd.StringDtype)


def _may_leave(value: object, column: str, private: re.Pattern[str]) -> bool:
    """Return whether a value of a column of texts may leave. Numbers of a mixed column may."""
    if not isinstance(value, str):
        return isinstance(value, bool | int | float)
    if column == "data_note":
        return value in NOTES
    if column in HASHES:
        return re.fullmatch(r"[0-9a-f]{7,64}", value) is not None
    if private.search(value) or LOOKS_LIKE_A_TOKEN.search(value):
        return False
    if column in VERSIONS:
        return re.fullmatch(r"[\w.+]{1,40}", value) is not None
    is_plain = LOOKS_LIKE_A_PLACE.search(value) is None and len(value) <= 200
    return is_plain or HUB.fullmatch(value) is not None


def _private_words() -> re.Pattern[str]:
    """Return a pattern of this machine's names, its user's, and the secrets of its environment."""
    host = platform.node()
    words = {host, host.partition(".")[0], Path.home().name}
    try:
        words.add(getpass.getuser())
    except (OSError, KeyError, ImportError):  # a user without a name
        pass
    # "_" ends a word: alice_law names alice
    whole = [rf"(?<![^\W_]){re.escape(word)}(?![^\W_])" for word in sorted(words) if len(word) > 2]

    secrets = {v for name, v in os.environ.items() if NAMES_A_SECRET.search(name) and len(v) > 7}
    return re.compile("|".join([*whole, *map(re.escape, sorted(secrets))]) or "(?!)", re.I)
