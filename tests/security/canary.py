"""A secret that is planted, and the content of the folders in which it is looked for."""

import secrets
from pathlib import Path

import pyarrow.parquet as pq

SECRET = f"canary{secrets.token_hex(12)}"


def everything_in(folder: Path) -> dict[str, bytes]:
    """Every file's bytes, and of Parquet also what is in it."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            found[f"{path.name}, read"] = f"{table.to_pylist()} {table.schema.metadata}".encode()
    return found


def bytes_by_file(folder: Path) -> dict[str, bytes]:
    """Every file's bytes, by its path in the folder."""
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }
