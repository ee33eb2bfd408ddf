"""No secrets in what is kept or printed, no door open to the network, no way out of the store,
nothing run that was only read."""

import ast
import ipaddress
import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness.errors import UserError
from harness.store.location import LeadsOut
from harness.store.provenance import VARIABLES
from harness.store.schema import COLUMNS, STR
from harness.store.store import RunRecord, Store, SweepRecord
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import canonical_json
from reports.evidence import read_evidence
from reports.page import render
from tests import ROOT
from tests.conftest import UNILAW
from tests.nodes import in_session
from tests.reports.stores import NOW, failed, make_store, png, power_law, row

SECRET = f"canary{secrets.token_hex(12)}"
OWN_WORDS = "what the task itself says"

TASK = f"""
import os, signal, time
from pathlib import Path
import torch
from torch import nn
from harness.noise import flip_labels
from harness.task import Config, Data, Field, Size, Task


class C(Config):
    how: str = Field(default="ok", description="what becomes of the trial")
    gate: str = Field(default="", description="a file that a trial which waits waits for")
    width: int = Size(4, description="units")


class Careless(Task):
    name = "careless"
    Config = C

    def input_shape(self, config):
        return (3,)

    def data(self, config, seeds):
        if config.how == "raises":
            raise ValueError("{OWN_WORDS}")
        if config.how == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if config.how == "waits":
            Path(config.gate + "-waiting").touch()
            for _ in range(1000):
                if Path(config.gate).exists():
                    break
                time.sleep(0.1)
        x = torch.randn(config.n + 50, 3, generator=seeds.generator("data"))
        y, noise = flip_labels(torch.where(x[:, 0] > 0, 1.0, -1.0), 0.2, seeds.generator("noise"))
        return Data(x[:config.n], y[:config.n], x[config.n:], y[config.n:], noise)

    def model(self, config):
        return nn.Sequential(nn.Linear(3, config.width), nn.ReLU(), nn.Linear(config.width, 1))
"""

SWEEP = """
name: careless
seeds: [0]
limits: {{attempts: 1, seconds_per_trial: 120}}
tasks:
  - task: careless
    fixed: {{n: 40, max_epochs: 3, gate: {gate}}}
    grid: {{how: [ok, raises, segfault, waits]}}
"""


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Ran(NamedTuple):
    """A run on local Ray by somebody with secrets: its store, what its commands said, and the
    addresses that its processes listened on."""

    store: Path
    said: str
    listened: set[Address]


@pytest.fixture(scope="module")
def ran(tmp_path_factory, environment) -> Ran:
    place = tmp_path_factory.mktemp("careless")
    home, gate = place / f"home-of-{SECRET}", place / "gate"
    work = home / "work"
    for file, text in {
        ".aws/credentials": (
            f"[default]\naws_access_key_id = {SECRET}\naws_secret_access_key = {SECRET}\n"
        ),
        ".cache/huggingface/token": SECRET,
        ".netrc": f"machine example.org login me password {SECRET}\n",
        ".git-credentials": f"https://me:{SECRET}@example.org\n",
        "work/.env": f"PASSWORD={SECRET}\n",
        "work/careless.py": TASK,
        "work/careless.yaml": SWEEP.format(gate=gate),
    }.items():
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_text(text)
    names = (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "HF_TOKEN",
        "DATABASE_PASSWORD",
        "USER",
        "LOGNAME",
    )
    planted = dict.fromkeys(
        (*names, "GOOGLE_APPLICATION_CREDENTIALS", "WANDB_API_KEY", "RAY_AUTH_TOKEN"), SECRET
    )
    theirs = {
        **environment,
        **planted,
        "HOME": str(home),
        "RAY_AUTH_MODE": "token",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
    command = [
        UNILAW,
        "run",
        "careless.yaml",
        "--task-file",
        str(work / "careless.py"),
        "--store",
        str(place / "rows"),
    ]
    with (place / "said").open("w") as out:
        run = subprocess.Popen(
            command, cwd=work, env=theirs, stdout=out, stderr=out, start_new_session=True
        )
        deadline = time.monotonic() + 150
        while not Path(f"{gate}-waiting").exists():
            assert run.poll() is None and time.monotonic() < deadline, (place / "said").read_text()
            time.sleep(0.1)
        listened = addresses_of(in_session(run.pid))
        gate.touch()
        assert run.wait(150) == 1, (place / "said").read_text()
    said = (place / "said").read_text()
    for name in ("status", "report"):
        done = subprocess.run(
            [UNILAW, name, str(place / "rows")],
            cwd=work,
            env=theirs,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        said += done.stdout + done.stderr
    return Ran(place / "rows", said, listened)


def addresses_of(pids: Iterable[int]) -> set[Address]:
    """The addresses that these processes listen on for TCP."""
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


def test_no_secret_of_whoever_runs_it_is_kept_or_printed(ran: Ran):
    rows = pd.read_parquet(ran.store)
    assert sorted(rows["failure_kind"].fillna("ok")) == ["bug", "crash", "ok", "ok"]
    kept = everything_in(ran.store)
    assert {name.partition("/")[0].partition("-")[0] for name in kept} >= {
        "_store.json",
        "_sweeps",
        "_runs",
        "_weights",
        "_report.html",
        "part",
    }
    says = [name for name, content in kept.items() if OWN_WORDS.encode() in content]
    assert {"_report.html"} | {name for name in says if name.endswith("read")} <= set(says), (
        "the search does not see what rows say"
    )
    assert len(says) >= 3 and OWN_WORDS in ran.said
    assert [name for name, content in kept.items() if SECRET.encode() in content] == []
    assert SECRET not in ran.said


def test_rows_keep_the_listed_variables_and_no_others(ran: Ran):
    rows = pd.read_parquet(ran.store)
    kept = [
        json.loads(text) for text in rows.loc[rows["failure_kind"].ne("crash"), "environment_json"]
    ]
    assert all(
        k["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        and k["OMP_NUM_THREADS"] == "1"
        and set(k) <= set(VARIABLES)
        for k in kept
    )
    assert not [
        name for name in VARIABLES if re.search("TOKEN|KEY|SECRET|PASS|HOME|PATH|USER|URL", name)
    ]


def test_a_run_on_this_machine_listens_on_loopback_alone(ran: Ran):
    assert ran.listened, "nothing was seen to listen"
    assert [a for a in ran.listened if not (getattr(a, "ipv4_mapped", None) or a).is_loopback] == []


ADDRESSES = [
    f"s3://AKIA0000:{SECRET}@bucket/rows",
    f"s3://bucket/rows?access_key=AKIA0000&secret_key={SECRET}",
    f"s3://bucket/rows?session_token={SECRET}",
    f"s3://bucket/rows?endpoint_override=me:{SECRET}@example.org",
    f"gs://{SECRET}@bucket/rows",
    f"https://{SECRET}@example.org/rows",
]


@pytest.mark.parametrize("address", ADDRESSES, ids=range(len(ADDRESSES)))
def test_an_address_with_a_secret_is_refused_and_not_repeated(
    tmp_path: Path, monkeypatch, address: str
):
    monkeypatch.chdir(tmp_path)
    sweep = f"name: a\nseeds: [0]\nstore: {json.dumps(address)}\ntasks:\n  - task: sphere\n"
    for refuse in (
        lambda: parse_sweep(sweep, "sweep.yaml"),
        lambda: Store.create(address),
        lambda: Store.open(address),
    ):
        with pytest.raises(UserError) as refused:
            refuse()
        assert SECRET not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


# A store that somebody else wrote

IDS = ("00000000000000aa", "00000000000000bb", "00000000000000cc", "00000000000000dd")
WAYS_OUT = (
    "../outside/canary",
    "../../../../../../../../etc/passwd",
    "/etc/passwd",
    "..",
    "a/../../outside/canary",
    "\x00",
    "~/.ssh/id_rsa",
)
ESCAPE = "\x1b]0;owned\x07\x1b[2J"


def told(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """A folder with `store`, received from somebody who means ill, and `outside`, which no
    command may read from or write to."""
    place = tmp_path_factory.mktemp("received")
    (place / "outside").mkdir()
    (place / "outside" / "canary").write_text(SECRET)
    (place / "outside" / "canary.png").write_bytes(png() + SECRET.encode())
    (place / "outside" / "canary.safetensors").write_text(SECRET)
    task = load(TaskRef("sphere"))
    config = canonical_json(task.Config().plain())
    mine = {
        "task": "sphere",
        "task_version": task.version,
        "config_json": config,
        "measures_version": 1,
    }
    ways = [
        *WAYS_OUT,
        "../outside/canary.png",
        "_pictures/../../outside/canary.png",
        f"_pictures/{IDS[2]}.png",
        f"_pictures/{IDS[3]}.png",
    ]
    rows = [
        row(10 + k, weights_file=way, pictures_file=way, pictures=[], **mine)
        for k, way in enumerate(ways)
    ]
    rows += [
        row(90 + k, trial_id=way, weights_file="_weights/x", **mine)
        for k, way in enumerate(WAYS_OUT)
    ]
    rows += [
        row(70 + k, trial_id=i, weights_file=f"_weights/{i}.safetensors", **mine)
        for k, i in enumerate(IDS[:2])
    ]
    rows += [
        failed(p=5, task=f"sphere{ESCAPE}", failure_kind=f"bug{ESCAPE}", failure_message=ESCAPE)
    ]
    store = make_store(place / "store", rows, sweep=False)
    Store.open(store).put_sweep(
        SweepRecord(name="made", text="name: made\n", task_source=None, trials={IDS[0]: "sphere"})
    )
    good = next((store / "_sweeps").glob("*.json")).read_text()
    for k, way in enumerate(WAYS_OUT):
        (store / "_sweeps" / f"bad-{k}.json").write_text(
            json.dumps({**json.loads(good), "name": way})
        )
        (store / "_sweeps" / f"worse-{k}.json").write_text(
            json.dumps({**json.loads(good), "trials": {way: "sphere"}})
        )
    (store / "_runs").mkdir()
    (store / "_runs" / "bad.json").write_text(
        json.dumps(
            {
                "sweep": "../up",
                "began": NOW.isoformat(),
                "inline": True,
                "trials": 1,
                "forecast_s": 0,
                "seconds": 1,
            }
        )
    )
    (store / f"part-{ESCAPE.replace('/', '')}.parquet").write_text("torn")
    for folder in ("_weights", "_pictures"):
        (store / folder).mkdir()
    for name, target in {
        f"_weights/{IDS[0]}.safetensors": "canary.safetensors",
        f"_pictures/{IDS[2]}.png": "canary.png",
    }.items():
        (store / name).symlink_to(place / "outside" / target)
    (store / f"_pictures/{IDS[3]}.png").symlink_to("/dev/zero")
    return place


@pytest.mark.parametrize(
    "command",
    [
        ["status", "store"],
        ["report", "store"],
        ["measure", "store", "--inline", "--again", "--points", "2"],
        ["compact", "store", "new"],
    ],
    ids=lambda command: command[0],
)
def test_a_hostile_store_reads_and_writes_nothing_outside_itself(
    hostile: Path, tmp_path: Path, unilaw, command: list[str]
):
    shutil.copytree(hostile, tmp_path / "here", symlinks=True)
    here = tmp_path / "here"
    if command[0] == "compact":  # which refuses a store with torn files
        (torn,) = (p for p in (here / "store").glob("part-*") if p.stat().st_size < 10)
        torn.unlink()
    outside = told(here / "outside")
    done = unilaw(*command, cwd=here)
    assert done.returncode in (0, 1, 2) and "Traceback" not in done.stderr, done.stderr
    assert told(here / "outside") == outside
    assert {p.name for p in here.iterdir()} <= {"store", "outside", "new"} and {
        p.name for p in tmp_path.iterdir()
    } == {"here"}
    written = {
        name: content
        for folder in ("store", "new")
        for name, content in told(here / folder).items()
        if not is_link(here, name)
    }
    assert [name for name, content in written.items() if SECRET.encode() in content] == []
    assert SECRET not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr, "a store must not steer the reader's terminal"


def is_link(here: Path, name: str) -> bool:
    return (here / "store" / name).is_symlink() and not (here / "new" / name).exists()


NAMES = [
    "../evil",
    "a/b",
    "/abs",
    "..",
    ".",
    "",
    "a\nb",
    "a\x00b",
    "A",
    "-x",
    "a b",
    "ü",
    "x" * 65,
    "a.b",
    "%2e%2e",
    "a\\b",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_sweeps_name_leads_nowhere(name: str):
    with pytest.raises(UserError, match="name"):
        parse_sweep(
            f"name: {json.dumps(name)}\nseeds: [0]\ntasks:\n  - task: sphere\n", "sweep.yaml"
        )
    with pytest.raises(ValueError, match="name"):
        SweepRecord(name=name, text="", task_source=None, trials={})
    with pytest.raises(ValueError, match="sweep"):
        RunRecord(sweep=name, began=NOW, inline=True, trials=0, forecast_s=0, seconds=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_tasks_name_is_looked_up_and_nothing_else(name: str):
    with pytest.raises(UserError, match="task"):
        parse_sweep(f"name: a\nseeds: [0]\ntasks:\n  - task: {json.dumps(name)}\n", "sweep.yaml")


@pytest.mark.parametrize(
    "key",
    ["../evil", "../../evil", "a/../../../evil", "../../../../../../../../tmp/evil-of-unilaw"],
)
def test_a_stores_keys_stay_in_the_store(tmp_path: Path, key: str):
    store = Store.create(tmp_path / "in" / "store")
    before = told(tmp_path)
    for put in (store.put_weights, store.put_pictures):
        with pytest.raises(LeadsOut):
            put(key, b"content")
    assert told(tmp_path) == before and not Path("/tmp/evil-of-unilaw").exists()


# The page

MARK = "<img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    """Every element's name and attributes' names, and the text of scripts that run."""

    def __init__(self, html: str):
        super().__init__()
        self.seen: set[tuple[str, tuple[str, ...]]] = set()
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add((tag, tuple(sorted(name for name, _ in attrs))))
        self.links += [
            value or ""
            for name, value in attrs
            if name in ("src", "href", "action", "srcset", "formaction")
        ]


TEXTS = [
    c.name
    for c in COLUMNS
    if c.type == STR
    and c.name
    not in (
        "status",
        "config_json",
        "settings_json",
        "stop_rule",
        "stop_reason",
        "trial_id",
        "environment_json",
    )
]
"""Columns of text that may hold anything; the others decide how a row is read."""


def page_that_says(folder: Path, text: str) -> str:
    """The page of a store that has `text` in every place that a user, or a stranger, can fill."""
    rows = power_law(0.2) + [failed(p=7, failure_kind=text, failure_message=text)]
    for r in rows:
        ok = r["status"] == "ok"
        r |= {name: text for name in TEXTS if ok or name in r}
        r |= {
            "config_json": json.dumps(
                {
                    **json.loads(r["config_json"]),
                    text: text,
                    "adversary": text,
                    "adversary_radius": text,
                }
            )
        }
        if ok:
            r |= {"failure_kind": None, "failure_message": None}
            r |= {
                "attack_warnings": [text],
                "pictures": [{"label": text, "before": text, "after": text, "distance": 0.1}],
            }
            r |= {
                "corruptions": [
                    {
                        "kind": text,
                        "severity": 3,
                        "size": 1.0,
                        "accuracy": 0.5,
                        "accuracy_se": 0.1,
                        "flip_rate": 0.1,
                    }
                ]
            }
    store = Store.open(make_store(folder, rows, sweep=False))
    store.put_sweep(
        SweepRecord(name="made", text=text, task_source=text, trials={rows[0]["trial_id"]: text})
    )
    return render(read_evidence(folder))


@pytest.fixture(scope="module")
def harmless(tmp_path_factory) -> Elements:
    """What the page consists of when nobody means ill."""
    return Elements(page_that_says(tmp_path_factory.mktemp("harmless") / "store", "harmless"))


@pytest.mark.parametrize(
    "text",
    [
        f"\"'>{MARK}",
        f"</script><script>{MARK}</script>",
        f"<a href='https://evil.example'>{MARK}</a>",
    ],
)
def test_no_text_of_any_column_becomes_an_element_of_the_page(
    tmp_path: Path, harmless: Elements, text: str
):
    html = page_that_says(tmp_path / "hostile", text)
    found = Elements(html)
    assert found.seen == harmless.seen and found.links == harmless.links == []
    assert MARK not in html and "&lt;img" in html, "the text is not on the page at all"


# What the product may not do with what it reads

FORBIDDEN_MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
    "cloudpickle",
}
FORBIDDEN_CALLS = {
    "torch.load",
    "pd.read_pickle",
    "pandas.read_pickle",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.full_load",
    "os.system",
    "os.popen",
    "eval",
}
FORBIDDEN_ARGUMENTS = {"allow_pickle", "trust_remote_code", "shell", "weights_only"}
EXCEPTIONS = {
    ("harness/sweeps/registry.py", "exec"): "runs the --task-file that its user named",
    (
        "harness/dispatch/worker_pool.py",
        "cloudpickle",
    ): "sends harness/dispatch/worker.py to workers by value",
    ("harness/dispatch/multi_gpu.py", "cloudpickle"): "the same",
}


def offences(source: str) -> set[str]:
    """What a file does that reading a stranger's store must never lead to."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {
                alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES
            }
        elif isinstance(node, ast.ImportFrom):
            found |= {
                name
                for name in (node.module or "", *(a.name for a in node.names))
                if name.split(".")[0] in FORBIDDEN_MODULES
            }
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            found |= {called} & (FORBIDDEN_CALLS | {"exec"})
            for keyword in node.keywords:
                if keyword.arg in FORBIDDEN_ARGUMENTS and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                ):
                    found.add(str(keyword.arg))
        elif isinstance(node, ast.ClassDef):
            found |= {
                b
                for b in map(ast.unparse, node.bases)
                if b in ("yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader")
            }
    return found


def test_nothing_that_is_read_is_ever_run():
    found = {
        (str(path.relative_to(ROOT)), what)
        for package in ("harness", "tasks", "clusters", "reports")
        for path in (ROOT / package).rglob("*.py")
        for what in offences(path.read_text())
    }
    assert found == set(EXCEPTIONS)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from ray import cloudpickle",
        "import torch\ntorch.load(f)",
        "eval(x)",
        "np.load(f, allow_pickle=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=yes)",
        "subprocess.run(c, shell=True)",
        "class L(yaml.UnsafeLoader): pass",
    ],
)
def test_the_search_for_it_sees_it(source: str):
    assert offences(source)


def test_a_stores_copy_of_a_task_file_is_not_run(tmp_path: Path, unilaw):
    """Whoever wrote the store wrote its `_sweeps/*.py`; only a file that is named on the command
    line runs."""
    folder = make_store(
        tmp_path / "store",
        [row(5, task="theirs", weights_file="_weights/x.safetensors", measures_version=1)],
        sweep=False,
    )
    source = f"import pathlib\npathlib.Path({str(tmp_path / 'owned')!r}).touch()\n"
    Store.open(folder).put_sweep(
        SweepRecord(
            name="made", text="name: made\n", task_source=source, trials={"0" * 16: "theirs"}
        )
    )
    done = unilaw("measure", "store", "--inline", cwd=tmp_path)
    assert (
        done.returncode == 2 and "--task-file" in done.stderr and not (tmp_path / "owned").exists()
    )
