"""Writing a file on a disk whole or not at all."""

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

TEMPORARY = "_tmp-"
"""Temporary files, and the probes that test whether a folder can be written, begin with this."""


def write_whole(path: Path, content: "bytes | pa.Buffer") -> None:
    """Write a file under a temporary name beside its own, then rename it. Raises OSError.

    The temporary name cannot be guessed and must be new, so nobody can put a link there that leads
    the write elsewhere. A link under the file's own name is replaced, not followed.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{uuid.uuid4().hex}")
    temporary.touch(exist_ok=False)
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
