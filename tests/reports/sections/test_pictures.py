"""Pictures of changes are shown only from the store's own folder; for anything odd the page says
why it is not shown.

Run alone: python -m pytest tests/reports/sections/test_pictures.py
"""

import base64
import os

import pandas as pd
import pytest

from harness.store.store import Store
from reports.evidence import read_evidence
from reports.sections import pictures
from reports.sections.pictures import MOST_BYTES, read_png, shown_pictures
from tests.reports.ledger import check_section, name_of
from tests.reports.page_reader import section_of
from tests.reports.stores import make_store, png, row

GOOD = "_pictures/0123456789abcdef.png"


@pytest.fixture
def store(tmp_path):
    folder = make_store(tmp_path / "store", [row()])
    (folder / "_pictures").mkdir()
    return folder


def test_a_picture_is_read(store):
    (store / GOOD).write_bytes(png())
    assert read_png(Store(store), GOOD) == png()


def test_a_store_may_be_named_by_a_link_or_a_relative_path(store, tmp_path, monkeypatch):
    (store / GOOD).write_bytes(png())
    (tmp_path / "link").symlink_to(store)
    assert read_png(Store(tmp_path / "link"), GOOD) == png()
    monkeypatch.chdir(tmp_path)
    assert read_png(Store("store"), GOOD) == png()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "_pictures/../../secret.png",
        "_pictures/../_pictures/0123456789abcdef.png",
        "/etc/passwd",
        "secret.png",
        "",
        None,
        7,
        "_pictures/0123456789abcdef.png\n",
        "_pictures/0123456789ABCDEF.png",
        "_pictures/0123456789abcdef.svg",
        "_pictures\\0123456789abcdef.png",
        "_pictures/0123456789abcdef.png/../../../secret.png",
        "file:///etc/passwd",
        "_pictures/sub/0123456789abcdef.png",
    ],
)
def test_any_other_name_is_not_even_opened(store, name):
    (store.parent / "secret.png").write_bytes(png())
    (store / GOOD).write_bytes(png())
    assert "names a file that is not a picture" in str(read_png(Store(store), name))


@pytest.mark.parametrize("what", ["file", "folder"])
def test_links_that_lead_out_of_the_store_are_not_followed(store, tmp_path, what):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "0123456789abcdef.png").write_bytes(png())
    if what == "file":
        (store / GOOD).symlink_to(tmp_path / "elsewhere" / "0123456789abcdef.png")
    else:
        (store / "_pictures").rmdir()
        (store / "_pictures").symlink_to(tmp_path / "elsewhere")
    assert read_png(Store(store), GOOD) == "its file lies outside the store"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "is missing"),
        (b"", "is not a PNG"),
        (b"\x89PNG\r\n\x1a\n", "is not a PNG"),
        (b"<svg onload=alert(1)>" * 9, "is not a PNG"),
        (b"GIF89a" + png(), "is not a PNG"),
        (png() + b"\x00" * MOST_BYTES, "too large"),
        (png(60_000, 60_000), "too large"),
        (png(0, 5), "too large"),
    ],
)
def test_a_file_that_is_not_a_small_png_is_not_shown(store, content, reason):
    if content is not None:
        (store / GOOD).write_bytes(content)
    assert reason in str(read_png(Store(store), GOOD))


def test_a_named_pipe_does_not_hang_the_report(store):
    os.mkfifo(store / GOOD)
    assert "is missing" in str(read_png(Store(store), GOOD))


def pictured(p: int, name: str | None = "", **changes):
    one = row(p, **changes)
    name = f"_pictures/{one['trial_id']}.png" if name == "" else name
    return one | {
        "pictures_file": name,
        "pictures": [{"label": "4", "before": "4", "after": "9", "distance": 0.12}],
    }


@pytest.mark.slow
def test_the_smallest_the_middle_and_the_largest_model_are_shown_at_the_largest_n(tmp_path):
    rows = [
        pictured(p, n=n, seed=s) for p in (10, 20, 30, 40, 50) for n in (100, 200) for s in (0, 1)
    ] + [pictured(60, None, n=300)]
    folder = make_store(
        tmp_path / "store", [*rows, pictured(7, family="other"), pictured(8, family="other")]
    )
    shown = {kind.split(",")[0]: strips for kind, strips in shown_pictures(read_evidence(folder))}

    assert [(s.p.value, s.n.value) for s in shown["sphere"]] == [(10, 200), (30, 200), (50, 200)]
    assert [s.p.value for s in shown["other"]] == [7, 8]
    assert all("is missing" in s.problem and not s.png for strips in shown.values() for s in strips)


@pytest.mark.slow
def test_the_page_shows_the_picture_and_what_is_on_it(tmp_path):
    folder = make_store(tmp_path / "store", [pictured(10), pictured(20)])
    (folder / "_pictures").mkdir()
    (folder / pictured(10)["pictures_file"]).write_bytes(png())
    section = section_of(pictures, folder)
    assert section is not None
    html = section.html

    assert (
        f'src="data:image/png;base64,{base64.b64encode(png()).decode()}"' in html
        and html.count("<img") == 1
    )
    assert (
        "No picture: its file is missing" in html and "4: 4 → 9" in html and ">0.12</data>" in html
    )


HOSTILE = "</li><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.mark.slow
def test_hostile_answers_and_names_do_not_reach_the_page(tmp_path):
    bad = {"label": HOSTILE, "before": HOSTILE, "after": '" onload="alert(3)', "distance": None}
    folder = make_store(
        tmp_path / "store",
        [
            pictured(10, HOSTILE) | {"pictures": [bad]},
            pictured(20) | {"pictures": [bad | {"label": None}]},
        ],
    )

    section = section_of(pictures, folder)
    assert section is not None
    html = section.html
    assert (
        "<script>alert" not in html
        and "onerror=alert(2)>" not in html
        and 'onload="alert' not in html
    )
    assert "names a file that is not a picture" in html


@pytest.mark.slow
def test_a_store_without_pictures_has_no_such_section(tmp_path):
    assert section_of(pictures, make_store(tmp_path / "store", [row()])) is None


@pytest.mark.slow
def test_every_number_is_recomputed_from_rows(rich):
    check_section(rich, "pictures", recomputed)


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    name = name_of(key)
    (one,) = used.to_dict("records")
    column = {"p": "p", "n": "n", "accuracy": "test_accuracy"}.get(name)
    return one[column] if column else one["pictures"][int(name)]["distance"]
