"""From a path or a bucket's address to the folder that is there.

>>> folder = folder_at("s3://bucket/rows?region=eu-central-1")
>>> folder.put("_weights/0.safetensors", content)
"""

from pathlib import Path

from harness.store.address import bucket_address
from harness.store.bucket import Bucket
from harness.store.disk import Disk
from harness.store.folder import Folder


def folder_at(where: str | Path) -> Folder:
    """Return the folder at a path, at s3://BUCKET/PREFIX or at gs://BUCKET/PREFIX. The folder need
    not exist.

    Raises UserError for an address of another form, with an unknown option, or that carries
    credentials.
    """
    address = bucket_address(where)
    return Disk(Path(where)) if address is None else Bucket(address)


def beside(file: str) -> tuple[Folder, str]:
    """Return the folder that a file lies in and the file's name there, for a path or a bucket's
    address."""
    path, question, query = file, "", ""
    if bucket_address(file):
        path, question, query = file.partition("?")

    folder, _, name = path.rpartition("/")
    return folder_at(f"{folder}{question}{query}"), name


def read_kept(pattern: str, trial_id: str) -> bytes:
    """Return the content of a trial's file, given the pattern from `Store.weights` or
    `Store.checkpoints`, which has {} in place of the trial's id.

    Raises FileNotFoundError when there is no such file, and UserError when it cannot be read.
    """
    folder, name = beside(pattern.format("ID"))
    return folder.get(name.replace("ID", trial_id))
