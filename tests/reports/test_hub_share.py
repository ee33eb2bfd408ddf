"""A data set of the Hub gets the rows of a store, private unless the user says otherwise. The Hub
is a fake that answers on loopback.

Run alone: python -m pytest tests/reports/test_hub_share.py
"""

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pandas as pd
import pytest

import unilaw
from harness.commands.track import share
from harness.store.store import Store
from reports.trackers.hub import _one_type_a_column
from tests.store.planted_secret import SECRET
from tests.store.rows import row

pytestmark = pytest.mark.slow


class FakeHub(HTTPServer):
    """A Hub of one data set. It keeps the commit, and what came with each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.private: bool | None = None
        self.files: dict[str, bytes] = {}
        self.bodies: list[bytes] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: FakeHub  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer({"id": "me/rows", "private": self.server.private, "siblings": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        if self.path == "/api/repos/create":
            if self.server.private is None:  # a data set that exists stays as it is
                asked = json.loads(body)  # `visibility` since huggingface_hub 2
                self.server.private = asked.get("private", asked.get("visibility") == "private")
            return self._answer({"url": f"{self.server.url}/datasets/me/rows"})
        if self.path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            how = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            files = [{**file, **how} for file in json.loads(body)["files"]]
            return self._answer({"files": files})

        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                content = base64.b64decode(line["value"]["content"])
                self.server.files[line["value"]["path"]] = content
        commit = f"{self.server.url}/datasets/me/rows/commit/0"
        self._answer({"commitUrl": commit, "commitOid": "0", "hookOutput": ""})

    def _answer(self, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    hub = FakeHub()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    own = huggingface_hub.HfApi
    monkeypatch.setattr(
        huggingface_hub, "HfApi", lambda: own(endpoint=hub.url, token="hf_of_the_user")
    )
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    yield hub
    hub.shutdown()
    hub.server_close()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("platform.node", lambda: "planted-host")
    monkeypatch.setenv("MY_TOKEN", SECRET)
    store = Store.create(tmp_path / "rows")
    config = {"source": "text:/home/me/x.txt", "key": SECRET, "host": "planted-host", "width": 8}
    store.append([row("0123456789abcdef", config_json=json.dumps(config), test_accuracy=0.5)])
    return store


@pytest.mark.parametrize("public", [False, True])
def test_the_rows_are_there_and_as_private_as_the_user_said(
    hub: FakeHub, store: Store, public: bool
):
    shared = unilaw.share(store.where, "hub:me/rows", public=public)
    assert hub.private is not public and shared.private is not public
    assert shared.url == f"{hub.url}/datasets/me/rows" and shared.rows == 1
    assert shared.withheld == {"source": 1, "key": 1, "host": 1}

    (read,) = pd.read_parquet(io.BytesIO(hub.files["rows.parquet"])).to_dict("records")
    assert (read["trial_id"], read["width"], read["test_accuracy"]) == ("0123456789abcdef", 8, 0.5)
    card = hub.files["README.md"].decode()
    assert "data_files: rows.parquet" in card and "| `test_accuracy` |" in card

    sent = b"".join([*hub.bodies, *hub.files.values()])
    for part in (b"/home/me", SECRET.encode(), b"planted-host", b"hf_of_the_user"):
        assert part not in sent


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([1, 0.5, None], [1.0, 0.5, None]),
        ([True, None], [True, None]),
        ([1, "a", None], ["1", "a", None]),
        ([True, 1], ["True", "1"]),
        ([True, 0.5], ["True", "0.5"]),
        ([[1, 2], 3], ["[1, 2]", "3"]),
        ([[1], ["a"], None], ["[1]", "['a']", None]),
        ([2**70, 1], [str(2**70), "1"]),
    ],
)
def test_a_field_of_several_types_is_written(values: list[Any], written: list[Any]):
    rows = pd.DataFrame({"field": pd.Series(values, dtype=object)})
    content = io.BytesIO()
    _one_type_a_column(rows).to_parquet(content, index=False)
    read = pd.read_parquet(content)["field"].astype(object)
    assert read.where(read.notna(), None).tolist() == written


def test_a_public_data_set_is_not_written_unawares(hub: FakeHub, store: Store):
    hub.private = False
    with pytest.raises(unilaw.UserError, match="me/rows is public, so the rows were not sent"):
        unilaw.share(store.where, "hub:me/rows")
    assert not hub.files


def test_a_hub_that_refuses_is_one_sentence(hub: FakeHub, store: Store):
    hub.status = 403
    with pytest.raises(unilaw.UserError, match=r"^the Hub did not take the rows: [^\n]+$"):
        unilaw.share(store.where, "hub:me/rows")


def test_a_private_data_set_stays_private_and_the_command_says_so(
    hub: FakeHub, store: Store, capsys: pytest.CaptureFixture[str]
):
    hub.private = True
    share(str(store.where), "hub:me/rows", public=True)
    assert hub.private and hub.files
    said = capsys.readouterr().out
    assert said.startswith("1 row in http://127.0.0.1") and "private as it was" in said


def test_a_name_that_is_none_is_refused(store: Store):
    with pytest.raises(unilaw.UserError, match="--to 'me/rows': must be hub:USER/NAME"):
        unilaw.share(store.where, "me/rows")
