"""What a look at each row file says about it, and about the index."""

import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pyarrow as pa

from harness.store.bucket import Bucket
from harness.store.folder import AT_ONCE, Entry, Folder
from harness.store.index import RowFile, identity_of
from harness.store.row_files import checksum_in, decode
from harness.store.schema import arrow_schema


class Look(NamedTuple):
    """What was seen of one row file. Nothing, when it is as the index says, or gone."""

    damage: str | None = None
    """Why the file cannot be read as rows."""

    for_index: tuple[RowFile, pa.Table] | None = None
    """A sound file that the index does not describe yet, with its rows' IDENTITY columns."""

    index_is_wrong: bool = False
    """Whether the file is sound and the index says that it is not."""


def look_at(folder: Folder, files: list[Entry], checksums: dict[str, int]) -> list[Look]:
    """Look at each row file, in order, given the CRC-32 of those that the index describes.

    A file with the checksum in the index is not decoded again. In a bucket it is not even read,
    because a bucket keeps checksums itself.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda file: _look(folder, file, checksums.get(file.name)), files))


def _look(folder: Folder, file: Entry, indexed: int | None) -> Look:
    if indexed is not None and isinstance(folder, Bucket):
        return Look()

    content = folder.get_if_there(file.name)
    if content is None:
        return Look()
    checksum = zlib.crc32(content)
    if checksum == indexed:
        return Look()

    table = decode(pa.BufferReader(content), arrow_schema())
    if isinstance(table, str):
        return Look(damage=table)
    if indexed is not None:
        # The file can be decoded, but only pages have checksums: names, types and counts have none.
        if checksum_in(file.name) in (None, checksum):
            return Look(index_is_wrong=True)
        return Look(damage="is torn (its checksum is not the one it was written with)")

    identity = identity_of(table)
    if identity is None:
        return Look()
    return Look(for_index=(RowFile(file.name, len(content), checksum, table.num_rows), identity))
