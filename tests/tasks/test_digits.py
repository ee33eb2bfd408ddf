"""Where digits come from: the packaged set, IDX files sound and damaged, the hub with and
without an answer.

Run alone: python -m pytest tests/tasks/test_digits.py
"""

import gzip
import re
import struct
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch

from harness.errors import UserError
from tasks.digits import HUB_NAME, IDX_FILES, load_digits, read_idx, stratified


@pytest.fixture(autouse=True)
def forget_loaded_digits():
    yield
    load_digits.cache_clear()


def idx(array: np.ndarray) -> bytes:
    return (
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        + array.astype(np.uint8).tobytes()
    )


def small_set(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.integers(0, 256, (count, 28, 28), dtype=np.uint8), (np.arange(count) % 10).astype(
        np.uint8
    )


def write_set(
    folder: Path, pack=lambda content: content, suffix: str = ""
) -> tuple[np.ndarray, ...]:
    parts = (*small_set(30, 0), *small_set(20, 1))
    folder.mkdir(exist_ok=True)
    for name, part in zip(IDX_FILES, parts, strict=True):
        (folder / f"{name}{suffix}").write_bytes(pack(idx(part)))
    return parts


# The packaged digits


def test_packaged_digits_are_5000_with_equal_shares():
    digits = load_digits("mnist-5k")
    assert digits.x_train.shape == (4000, 28, 28) and digits.x_test.shape == (1000, 28, 28)
    assert digits.x_train.dtype == torch.uint8 and digits.y_train.dtype == torch.int64
    assert (
        digits.y_train.bincount().tolist() == [400] * 10
        and digits.y_test.bincount().tolist() == [100] * 10
    )
    assert int(digits.x_train.max()) == 255 and int(digits.x_train.min()) == 0


def test_packaged_training_and_held_out_digits_are_disjoint():
    digits = load_digits("mnist-5k")
    train, test = (
        {bytes(image.numpy().tobytes()) for image in part}
        for part in (digits.x_train, digits.x_test)
    )
    assert len(train) == 4000 and len(test) == 1000
    assert not train & test


# Stratified draws


def labels_by_class(counts: list[int]) -> torch.Tensor:
    return torch.cat([torch.full((c,), k) for k, c in enumerate(counts)])


def draw(labels: torch.Tensor, n: int, seed: int = 0) -> torch.Tensor:
    return stratified(labels, n, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", [1, 9, 10, 11, 25, 200, 399, 400])
def test_class_shares_differ_by_at_most_one(n: int):
    labels = labels_by_class([40] * 10)
    rows = draw(labels, n)
    shares = labels[rows].bincount(minlength=10)
    assert len(rows) == n == len(set(rows.tolist())), "no duplicates"
    assert int(shares.max() - shares.min()) <= 1


@pytest.mark.parametrize("counts", [[40] * 10, [3, 50, 20], [1, 1, 98]])
def test_draws_are_nested_in_n(counts: list[int]):
    labels = labels_by_class(counts)
    whole = draw(labels, len(labels))
    assert sorted(whole.tolist()) == list(range(len(labels)))
    for n in (1, 2, 7, len(labels) // 2):
        assert torch.equal(draw(labels, n), whole[:n])


def test_unequal_classes_are_used_up_in_turn():
    labels = labels_by_class([3, 50, 20])
    assert labels[draw(labels, 30)].bincount().tolist() == [3, 14, 13] or labels[
        draw(labels, 30)
    ].bincount().tolist() == [3, 13, 14]


def test_draws_differ_by_seed_and_are_not_sorted_by_class():
    labels = labels_by_class([40] * 10)
    assert torch.equal(draw(labels, 100), draw(labels, 100))
    assert not torch.equal(draw(labels, 100), draw(labels, 100, seed=1))
    assert not torch.equal(labels[draw(labels, 100)], labels[draw(labels, 100)].sort().values)


# IDX files


@pytest.mark.parametrize(
    ("pack", "suffix"), [(lambda content: content, ""), (gzip.compress, ".gz")], ids=["plain", "gz"]
)
def test_idx_folder(tmp_path: Path, pack, suffix: str):
    parts = write_set(tmp_path / "digits", pack, suffix)
    digits = load_digits(f"idx:{tmp_path / 'digits'}")
    for got, expected in zip(digits[:4], parts, strict=True):
        assert np.array_equal(got.numpy(), expected)
    assert digits.y_train.dtype == digits.y_test.dtype == torch.int64


def test_plain_and_gz_have_the_same_content(tmp_path: Path):
    write_set(tmp_path / "plain")
    write_set(tmp_path / "packed", gzip.compress, ".gz")
    assert (
        load_digits(f"idx:{tmp_path / 'plain'}").content_hash
        == load_digits(f"idx:{tmp_path / 'packed'}").content_hash
    )


SOUND = idx(np.arange(12).reshape(3, 4))
DAMAGED = {
    "empty": ("x", b"", "is not an IDX file of unsigned bytes (it begins with nothing"),
    "text": (
        "x",
        b"<html>404</html>",
        "is not an IDX file of unsigned bytes (it begins with 3c68746d",
    ),
    "floats": (
        "x",
        b"\x00\x00\x0d" + SOUND[3:],
        "is not an IDX file of unsigned bytes (it begins with 00000d02",
    ),
    "four-dimensions": ("x", b"\x00\x00\x08\x04" + SOUND[4:], "is not an IDX file"),
    "cut-header": ("x", SOUND[:7], "is cut off in its header (7 bytes)"),
    "cut-off": ("x", SOUND[:-1], "is cut off: its header promises 24 bytes and it has 23"),
    "too-long": ("x", SOUND + b"\x00", "is too long: its header promises 24 bytes and it has 25"),
    "huge-header": ("x", b"\x00\x00\x08\x03" + b"\xff" * 12, "is cut off: its header promises"),
    "not-gzip": ("x.gz", SOUND, "cannot be unpacked"),
    "cut-gzip": ("x.gz", gzip.compress(SOUND)[:-9], "cannot be unpacked"),
    "bad-gzip": ("x.gz", gzip.compress(SOUND)[:12] + b"\xff" * 20, "cannot be unpacked"),
    "wrong-checksum": ("x.gz", gzip.compress(SOUND)[:-8] + b"\x00" * 8, "cannot be unpacked"),
}


@pytest.mark.parametrize(("name", "content", "reason"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_idx_files_are_named(tmp_path: Path, name: str, content: bytes, reason: str):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_idx(path)
    assert str(refused.value).startswith(f"{path}: {reason}")


def test_a_sound_idx_file(tmp_path: Path):
    (tmp_path / "x").write_bytes(SOUND)
    assert np.array_equal(read_idx(tmp_path / "x"), np.arange(12).reshape(3, 4))


@pytest.mark.parametrize("missing", IDX_FILES)
def test_a_missing_file_is_named(tmp_path: Path, missing: str):
    write_set(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(UserError, match=rf"lacks {missing} \(plain or \.gz\)"):
        load_digits(f"idx:{tmp_path}")


WRONG = {
    "label-above-nine": (1, np.full(30, 10), "a label is 10; digits are 0 to 9"),
    "fewer-labels": (
        1,
        np.zeros(29),
        "images of shape (30, 28, 28) and labels of shape (29,) do not match",
    ),
    "fewer-held-out-labels": (
        3,
        np.zeros(19),
        "images of shape (20, 28, 28) and labels of shape (19,)",
    ),
    "other-size": (0, np.zeros((30, 32, 32)), "images of shape (30, 32, 32)"),
    "labels-for-images": (0, np.zeros(30), "images of shape (30,)"),
    "images-for-labels": (1, np.zeros((30, 28, 28)), "do not match"),
}


@pytest.mark.parametrize(("which", "array", "reason"), WRONG.values(), ids=WRONG.keys())
def test_files_that_do_not_go_together(tmp_path: Path, which: int, array: np.ndarray, reason: str):
    write_set(tmp_path)
    (tmp_path / IDX_FILES[which]).write_bytes(idx(array))
    with pytest.raises(UserError, match=re.escape(reason)):
        load_digits(f"idx:{tmp_path}")


def test_a_folder_that_is_not_there():
    with pytest.raises(
        UserError, match="'idx:no/such' is not a folder; it needs train-images-idx3-ubyte"
    ):
        load_digits("idx:no/such")


def test_an_unknown_source():
    with pytest.raises(
        UserError, match="must be 'mnist-5k', 'hub' or 'idx:PATH', not 'hubb'; did you mean 'hub'"
    ):
        load_digits("hubb")


# The hub


def test_the_hub_without_network_says_what_to_use(monkeypatch: pytest.MonkeyPatch):
    def no_network(name: str):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", no_network)
    with pytest.raises(UserError) as refused:
        load_digits("hub")
    assert "could not load 'ylecun/mnist' (ConnectionError)" in str(refused.value)
    assert "'mnist-5k'" in str(refused.value) and "'idx:PATH'" in str(refused.value)


def test_the_hub_gives_the_same_digits_as_idx_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    parts = write_set(tmp_path)
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=10)}
    )
    splits = {
        name: datasets.Dataset.from_dict(
            {"image": list(images), "label": labels.tolist()}, features=features
        )
        for name, images, labels in (("train", *parts[:2]), ("test", *parts[2:]))
    }
    asked = []
    monkeypatch.setattr(
        datasets, "load_dataset", lambda name: asked.append(name) or datasets.DatasetDict(**splits)
    )
    digits = load_digits("hub")
    assert asked == [HUB_NAME]
    assert digits.x_train.shape == (30, 28, 28) and digits.x_test.shape == (20, 28, 28)
    for got, expected in zip(digits[:4], parts, strict=True):
        assert np.array_equal(got.numpy(), expected)
    assert digits.content_hash == load_digits(f"idx:{tmp_path}").content_hash
