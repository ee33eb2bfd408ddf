"""No secret of whoever runs it is kept or printed, and no door is open to the network.

Run alone: python -m pytest tests/security/test_secrets.py
"""

import ipaddress
import json
import os
import re
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from harness.errors import UserError
from harness.store.provenance import VARIABLES
from harness.store.store import Store
from harness.sweeps.sweep import parse_sweep
from tests.conftest import UNILAW
from tests.nodes import in_session
from tests.security.canary import SECRET, everything_in

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


pytestmark = pytest.mark.ray

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
    home = place / f"home-of-{SECRET}"
    gate = place / "gate"
    work = home / "work"
    put_files(home, gate)
    theirs = {**environment, **variables(home)}

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


def put_files(home: Path, gate: Path) -> None:
    """The files in which people keep secrets, and the sweep and its task."""
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


def variables(home: Path) -> dict[str, str]:
    """The environment variables in which people keep secrets, and some others."""
    names = (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "HF_TOKEN",
        "DATABASE_PASSWORD",
        "USER",
        "LOGNAME",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "WANDB_API_KEY",
        "RAY_AUTH_TOKEN",
    )
    return {
        **dict.fromkeys(names, SECRET),
        "HOME": str(home),
        "RAY_AUTH_MODE": "token",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }


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
