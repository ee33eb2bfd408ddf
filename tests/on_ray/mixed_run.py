"""The sweep of the shared run, what was seen of the run, and how to read its rows."""

import ipaddress
import os
import re
from collections.abc import Iterable
from pathlib import Path
from subprocess import CompletedProcess
from typing import NamedTuple

import pandas as pd

from harness.store.store import Store
from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import Sweep, parse_sweep

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

INLINE = """\
name: inline
seeds: [0]
limits: {measure_points: 16}
tasks:
  - task: sphere
    fixed: {n: 32, d: 5, width: 8, max_epochs: 20}
  - task: mnist
    fixed: {n: 30, label_flip: 0.2, width: 4, max_epochs: 3}
  - task: mnist
    fixed: {n: 30, head: digits, label_resample: 0.3, width: 4, max_epochs: 3}
  - task: trouble
    grid: {how: [none, raise, exit, nan]}
"""

MIXED = INLINE.replace("inline", "mixed").replace("limits: {", "limits: {attempts: 2, ") + """\
  - task: trouble
    fixed: {n: 17, how: kill, max_epochs: 2000}
  - task: trouble
    fixed: {n: 18, how: kill-once, marker: MARKER, max_epochs: 2000}
"""  # fmt: skip
"""INLINE's trials and more. The others have another n, so that INLINE's are in the same stacks as
inline. They have many epochs, so that each is a batch of its own and costs no other batch its
worker."""


class Ran(NamedTuple):
    """A finished `unilaw run`."""

    folder: Path
    """The working folder of the command."""
    store: Path
    variables: dict[str, str]
    """The environment variables of the person, besides those of the tests."""
    process: CompletedProcess[str]
    listened: set[Address]
    """The addresses on which the command and Ray listened for TCP."""

    @property
    def sweep(self) -> Sweep:
        return load(self.folder, "mixed.yaml")

    @property
    def rows(self) -> pd.DataFrame:
        return rows_of(self.store)


def load(folder: Path, name: str) -> Sweep:
    return parse_sweep((folder / name).read_text(), name, refs_in(folder / "my_tasks.py"))


def rows_of(store: Path) -> pd.DataFrame:
    contents = Store.open(store).read()
    assert contents.problems == []
    return contents.rows


def addresses_of(pids: Iterable[int]) -> set[Address]:
    """Return the addresses on which these processes listen for TCP."""
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                raw = bytes.fromhex(fields[1].partition(":")[0])
                in_order = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
                sockets[fields[9]] = ipaddress.ip_address(in_order)

    found = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                inode = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link))
            except OSError:  # closed while we looked
                continue
            if inode and inode[1] in sockets:
                found.add(sockets[inode[1]])
    return found
