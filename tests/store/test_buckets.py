"""Stores in buckets, against a real S3 server on loopback: the whole way of a sweep, and a
server that fails."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.cli import main
from harness.errors import UserError
from harness.execution.run_batch import run_batch
from harness.store import location as folder_module
from harness.store.location import Folder, LeadsOut, bucket_address, read_kept
from harness.store.store import RunRecord, Store, SweepRecord, compact, latest
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings
from harness.training import checkpoint as checkpoint_module
from tests.bucket_server import ENVIRONMENT, BucketServer, Every
from tests.conftest import UNILAW
from tests.store.rows import NOON, full_row, row

SWEEP = """
name: small
seeds: [0, 1]
tasks:
  - task: sphere
    fixed: {n: 32, d: 4, max_epochs: 20}
    grid: {width: [4, 8, 12]}
"""

SECRET = "planted5ecretThatNobodyMayRead"


@pytest.fixture(scope="module", autouse=True)
def credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            **ENVIRONMENT,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_MAX_ATTEMPTS": "8",
        }.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[BucketServer]:
    with BucketServer() as server:
        yield server


@pytest.fixture
def bucket(server: BucketServer) -> Iterator[BucketServer]:
    """The server, empty and without trouble."""
    yield server
    server.trouble = lambda: None
    server.files.delete_dir_contents("bucket")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SWEEP)
    return tmp_path


def unilaw(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["unilaw", *arguments])
    try:
        main()
    except SystemExit as e:
        return int(e.code or 0)
    return 0


def started(*arguments: str, cwd: Path, **more: str) -> subprocess.Popen[str]:
    environment = {
        k: v for k, v in os.environ.items() if k not in ("COLUMNS", "RAY_ADDRESS")
    } | more
    return subprocess.Popen(
        [UNILAW, *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


TIMES = [
    "started_at",
    "finished_at",
    "measured_at",
    "wall_s",
    "train_s",
    "measure_s",
    "measure_share",
    "peak_bytes",
]


def assert_same_results(mine: pd.DataFrame, its: pd.DataFrame, *but: str) -> None:
    """Row by row, but for when and how fast."""
    one, other = (
        f.drop(columns=[*TIMES, *but]).sort_values(["trial_id", "attempt"], ignore_index=True)
        for f in (mine, its)
    )
    pd.testing.assert_frame_equal(one, other)


# A folder in a bucket


def test_the_operations_of_a_folder(bucket: BucketServer):
    folder = Folder.at(bucket.uri("a/b"))
    assert not folder.there() and folder.entries() == [] and folder.size("x") is None
    folder.put("x", b"one")
    folder.put("x", b"other")
    folder.put("_in/side.txt", b"two")
    large = bytes(range(256)) * 50_000  # 12.8 MB: in parts
    folder.put("large", large)
    assert folder.there() and folder.get("x") == b"other" and folder.get("large") == large
    assert [(f.name, f.is_file, f.size) for f in folder.entries()] == [
        ("_in", False, 0),
        ("large", True, len(large)),
        ("x", True, 5),
    ]
    assert [f.name for f in folder.entries("_in")] == ["side.txt"] and folder.entries(
        "nothing"
    ) == []
    assert folder.size("x") == 5 and folder.size("_in") is None
    with folder.open("x") as file:
        assert file.read(3) == b"oth"
    folder.move("x", "_aside/x")
    folder.delete("_in/side.txt")
    folder.delete("never there")
    with pytest.raises(FileNotFoundError):
        folder.get("x")
    assert bucket.names("a/b") == ["_aside/x", "large"]
    folder.clear()
    assert bucket.names("a") == []


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/x", "a//b", "a/", "", "a/./b", "a\nb", "a\x00b", "x\x1b[31m"]
)
@pytest.mark.parametrize("kind", ["disk", "bucket"])
def test_names_that_lead_out_of_a_folder_are_refused(
    bucket: BucketServer, tmp_path: Path, name: str, kind: str
):
    folder = Folder.at(tmp_path / "in" if kind == "disk" else bucket.uri("in"))
    for work in (
        lambda: folder.put(name, b""),
        lambda: folder.get(name),
        lambda: folder.delete(name),
        lambda: folder.move(name, "y"),
        lambda: folder.size(name),
        lambda: folder.open(name),
    ):
        with pytest.raises(LeadsOut):
            work()
    assert bucket.names("") == [] and list(tmp_path.iterdir()) == []


def test_keys_of_every_kind_are_checked(bucket: BucketServer):
    store = Store.create(bucket.uri("rows"))
    before = bucket.names("")
    for work in (
        lambda: store.put_weights("../../x", b""),
        lambda: store.put_pictures("a/../../../x", b""),
    ):
        with pytest.raises(LeadsOut):
            work()
    with pytest.raises(LeadsOut):
        read_kept(store.weights(), "../../x")
    assert bucket.names("") == before


# Addresses

BAD = {
    "http://host/rows": "begins with 'http://'",
    "S3://bucket/rows": "did you mean 's3://'?",
    "gcs://bucket/rows": "did you mean 'gs://'?",
    "s3:/bucket/rows": "begins with 's3:'; did you mean 's3://'?",
    "s3://": "names no bucket",
    "s3://UPPER/rows": "names no bucket",
    "s3://bucket/../rows": "may hold letters",
    "s3://bucket/a//b": "may hold letters",
    "s3://bucket/a b": "may hold letters",
    "s3://bucket/rows#x": "holds a '#'",
    "s3://bucket/rows?regoin=a": (
        "has the option 'regoin'; allowed are region, scheme, endpoint_override, tls_ca_file_path;"
        " did you mean"
    ),
    "s3://bucket/rows?scheme=ftp": "allowed are http and https",
    "gs://bucket/rows?retry_limit_seconds=soon": "a number of seconds",
    f"s3://AKIA:{SECRET}@bucket/rows": "carries credentials",
    f"s3://AKIA:{SECRET}/more@bucket/rows": "carries credentials",
    f"s3://{SECRET}@bucket": "carries credentials",
    f"gs://{SECRET}@bucket/rows": "carries credentials",
    f"s3://bucket/rows?access_key=AKIA&secret_key={SECRET}": (
        "credentials belong in the environment"
    ),
    f"s3://bucket/rows?session_token={SECRET}": "credentials belong in the environment",
    f"s3://bucket/rows?endpoint_override=me:{SECRET}@host": (
        "has a value of 'endpoint_override' that cannot be one"
    ),
}


@pytest.mark.parametrize("where,said", BAD.items(), ids=range(len(BAD)))
def test_an_address_that_is_none_or_that_carries_credentials_is_refused_in_one_sentence(
    where: str,
    said: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    for command in (
        ("run", "small.yaml", "--inline", "--store", where),
        ("status", where),
        ("measure", where),
        ("report", where),
        ("compact", where, "new"),
        ("run", "bad.yaml"),
    ):
        (here / "bad.yaml").write_text(SWEEP + f"store: {json.dumps(where)}\n")
        assert unilaw(monkeypatch, *command) == 2
        out, err = capfd.readouterr()
        assert err.startswith("unilaw: ") and err.count("\n") == 1 and said in err, err
        assert SECRET not in out + err and "AKIA" not in out + err
    assert sorted(p.name for p in here.iterdir()) == ["bad.yaml", "small.yaml"]


@pytest.mark.parametrize(
    "where", ["rows", "a:b", "/abs/rows", "~/rows", "C:/rows", "rows?x=1", "a@b"]
)
def test_everything_else_is_a_folder(where: str):
    assert bucket_address(where) is None


def test_anonymous_access_to_google_is_no_credential():
    address = bucket_address("gs://anonymous@bucket/rows")
    assert (
        address is not None
        and Folder.at("gs://anonymous@bucket/rows").where == "gs://anonymous@bucket/rows"
    )


def test_attempts_that_are_no_number_are_refused(
    bucket: BucketServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "many")
    folder_module._files.cache_clear()
    with pytest.raises(UserError, match="AWS_MAX_ATTEMPTS is 'many'"):
        Store.create(bucket.uri("rows"))


def test_a_bucket_that_does_not_exist_is_said(bucket: BucketServer):
    with pytest.raises(UserError, match="cannot be written: .*NO_SUCH_BUCKET"):
        Store.create(bucket.uri("rows").replace("//bucket/", "//other-bucket/"))


# A store in a bucket


def filled(store: Store) -> Store:
    store.append([full_row("a"), row("b", status="failed", failure_kind="crash")])
    store.append([row("b", attempt=2, p=3)])
    store.put_weights("a", b"weights")
    store.put_pictures("a", b"picture")
    store.put_sweep(
        SweepRecord(name="s", text="name: s\n", task_source="source", trials={"a" * 16: "toy"})
    )
    store.put_run(
        RunRecord(sweep="s", began=NOON, inline=False, trials=3, forecast_s=1.5, seconds=2.5)
    )
    return store


def sorted_rows(store: Store) -> pd.DataFrame:
    return store.read().rows.sort_values(["trial_id", "attempt"], ignore_index=True)


def test_it_holds_what_a_local_one_holds_and_pandas_reads_it(bucket: BucketServer, tmp_path: Path):
    local, remote = (
        filled(Store.create(tmp_path / "rows")),
        filled(Store.create(bucket.uri("deep/rows"))),
    )
    again = Store.open(bucket.uri("deep/rows"))
    assert again.read().problems == []
    pd.testing.assert_frame_equal(sorted_rows(again), sorted_rows(local))
    assert (again.sweeps(), again.runs()) == (local.sweeps(), local.runs())
    plain = pd.read_parquet(bucket.uri("deep/rows")).sort_values(
        ["trial_id", "attempt"], ignore_index=True
    )
    pd.testing.assert_frame_equal(plain, sorted_rows(local))
    assert read_kept(again.weights(), "a") == b"weights" and again.name == "rows"
    stems = [f"_sweeps/{f.name}" for f in remote.files.entries("_sweeps")]
    assert [f"_sweeps/{p.name}" for p in sorted((tmp_path / "rows" / "_sweeps").iterdir())] == stems


@pytest.mark.parametrize("way", ["bucket to bucket", "bucket to disk", "disk to bucket"])
def test_compact(bucket: BucketServer, tmp_path: Path, way: str):
    source, target = (
        {"bucket": bucket.uri(f"x/{k}"), "disk": tmp_path / k}[part]
        for k, part in zip("ab", way.split(" to "), strict=True)
    )
    store = filled(Store.create(source))
    assert compact(source, target) == (2, 3)
    small = Store.open(target)
    pd.testing.assert_frame_equal(sorted_rows(small), sorted_rows(store))
    assert (small.sweeps(), small.runs(), read_kept(small.weights(), "a")) == (
        store.sweeps(),
        store.runs(),
        b"weights",
    )
    assert (
        small.files.get("_pictures/a.png") == b"picture"
        and len([f for f in small.files.entries() if f.name.startswith("part-")]) == 1
    )
    with pytest.raises(UserError, match="exists; compact writes a new store"):
        compact(source, target)


def test_a_prefix_that_holds_other_things_is_refused(bucket: BucketServer):
    bucket.put("thesis/chapter.tex", b"years of work")
    with pytest.raises(UserError, match="is not empty and not a unilaw store"):
        Store.create(bucket.uri("thesis"))
    with pytest.raises(UserError, match="is not a unilaw store"):
        Store.open(bucket.uri("thesis"))
    with pytest.raises(UserError, match="there is no store"):
        Store.open(bucket.uri("nothing"))
    assert bucket.names("") == ["thesis/chapter.tex"]


def test_a_torn_object_is_named_and_set_aside(bucket: BucketServer):
    store = Store.create(bucket.uri("rows"))
    store.append([row("good")])
    whole = bucket.get(f"rows/{store.append([row('torn')])}")
    bucket.put("rows/part-torn.parquet", whole[: len(whole) // 2])
    (problem,) = store.read().problems
    assert problem.startswith("part-torn.parquet: is torn")
    (said,) = store.set_torn_aside()
    assert "moved to s3://bucket/rows/_set_aside/part-torn.parquet" in said
    assert store.read().problems == [] and len(pd.read_parquet(bucket.uri("rows"))) == 2


def test_checkpoints_lie_in_the_bucket_and_training_goes_on_from_them(
    bucket: BucketServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checkpoint_module, "EVERY_S", 0.0)
    store = Store.create(bucket.uri("rows"))
    sweep = parse_sweep(
        "name: a\nseeds: [0]\ntasks:\n  - {task: sphere, fixed: {n: 32, d: 4, stop: epochs,"
        " max_epochs: 5}}\n",
        "a.yaml",
    )

    def ran(checkpoints: str | None) -> dict[str, Any]:
        given = RunSettings(
            cpus=1,
            gpus=0,
            seconds=60,
            weights_bytes=10**6,
            measure_points=8,
            checkpoints=checkpoints,
        )
        (result,) = run_batch(Batch((sweep.trials,)), given)
        columns = {k: v for k, v in result.columns.items() if k not in TIMES}
        return columns | {"weights": result.weights}

    whole, first, second = ran(None), ran(store.checkpoints()), ran(store.checkpoints())
    trial_id = sweep.trials[0].trial_id
    assert [f.name for f in store.files.entries("_checkpoints")] == [f"{trial_id}.safetensors"]
    assert first == whole and second == {**whole, "resumed_epoch": 4}
    bucket.put(f"rows/_checkpoints/{trial_id}.safetensors", b"torn")
    assert ran(store.checkpoints()) == whole, "begins anew"
    store.drop_checkpoints(["f" * 16])
    assert len(store.files.entries("_checkpoints")) == 1
    store.drop_checkpoints([trial_id])
    assert store.files.entries("_checkpoints") == [] and store.read().problems == []


# The whole way


def test_a_sweep_goes_its_whole_way_in_a_bucket(
    bucket: BucketServer,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    uri = bucket.uri("team/rows")
    (here / "there.yaml").write_text(SWEEP + f"store: {json.dumps(uri)}\n")
    assert unilaw(monkeypatch, "run", "there.yaml", "--inline") == 0
    assert unilaw(monkeypatch, "run", "small.yaml", "--inline", "--store", "local") == 0
    assert "6 ok, 0 failed, 0 finished before" in capfd.readouterr().out
    remote, local = Store.open(uri).read().rows, Store.open("local").read().rows
    assert_same_results(remote, local)
    assert all(
        bucket.get(f"team/rows/{name}") == (here / "local" / name).read_bytes()
        for name in local["weights_file"]
    )

    assert unilaw(monkeypatch, "status", uri) == 0
    assert unilaw(monkeypatch, "status", "local") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :] and "sphere" in "".join(lines)

    assert unilaw(monkeypatch, "measure", uri, "--inline", "--again") == 0
    assert "6 measured, 0 not" in capfd.readouterr().out
    again = latest(Store.open(uri).read().rows)
    assert len(again) == 6 and again["measured_at"].notna().all()
    assert_same_results(again, latest(remote), "measured_commit")

    assert unilaw(monkeypatch, "report", uri) == 0
    assert unilaw(monkeypatch, "report", uri, "-o", "here.html") == 0
    written, said = bucket.get("team/rows/_report.html").decode(), capfd.readouterr().out
    assert "report: s3://bucket/team/rows/_report.html" in said and "report: here.html" in said
    assert (
        "s3://bucket/team/rows/_sweeps/small-" in written
        and "s3://bucket/team/rows/_sweeps/small-" in (here / "here.html").read_text()
    )

    assert unilaw(monkeypatch, "compact", uri, bucket.uri("team/small")) == 0
    assert (
        unilaw(monkeypatch, "run", "small.yaml", "--inline", "--store", bucket.uri("team/small"))
        == 0
    )
    assert "0 ok, 0 failed, 6 finished before" in capfd.readouterr().out
    pd.testing.assert_frame_equal(latest(Store.open(bucket.uri("team/small")).read().rows), again)
    for name in bucket.names(""):
        assert SECRET.encode() not in bucket.get(name), name
    assert SECRET not in said


# Trouble


def test_a_run_through_a_server_that_fails_now_and_then_loses_no_row(
    bucket: BucketServer, here: Path
):
    """On Ray, in a process of its own: every fifth request is answered by 500 or 503 or late."""
    trouble = bucket.trouble = Every(5, "500", "SlowDown", "wait", wait_s=0.5)
    process = started("run", "small.yaml", "--store", bucket.uri("rows"), cwd=here)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "6 ok, 0 failed" in out and "Traceback" not in err
    assert set(trouble.met) == {"500", "SlowDown", "wait"}
    bucket.trouble = lambda: None
    store = Store.open(bucket.uri("rows"))
    contents = store.read()
    assert (
        contents.problems == []
        and len(contents.rows) == 6
        and contents.rows["status"].eq("ok").all()
    )
    assert sorted(contents.rows["weights_file"]) == sorted(
        f"_weights/{f.name}" for f in store.files.entries("_weights")
    )


def test_a_server_that_stays_silent_is_asked_again(
    bucket: BucketServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(folder_module, "SILENT_S", 1.0)
    folder_module._files.cache_clear()
    bucket.trouble = Every(2, "wait", wait_s=2.5)
    folder = Folder.at(bucket.uri("rows"))
    folder.put("a", b"content")
    assert folder.get("a") == b"content" and folder.size("a") == 7
    assert bucket.trouble.met["wait"] >= 1
    folder_module._files.cache_clear()


def test_an_answer_that_ends_in_its_middle_is_asked_for_again(
    bucket: BucketServer, monkeypatch: pytest.MonkeyPatch
):
    folder = Folder.at(bucket.uri("rows"))
    folder.put("a", b"content")
    cut_off, asked = [1, 2], []

    class Files:
        def open_input_file(self, name: str):
            asked.append(name)
            if cut_off:
                raise OSError(
                    "AWS Error INTERNAL_FAILURE during GetObject operation:"
                    f" {folder_module.CUT_OFF} (try {cut_off.pop()})"
                )
            return real.open_input_file(name)

    real = folder.files  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setattr(type(folder), "files", Files())
    assert folder.get("a") == b"content" and len(asked) == 3
    cut_off += range(99)
    with pytest.raises(UserError, match="Failed to flush response stream"):
        folder.get("a")
    assert len(asked) == 3 + folder_module.READS


def test_a_server_that_stays_down_ends_the_run_in_one_sentence_and_the_same_command_goes_on(
    bucket: BucketServer,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    folder_module._files.cache_clear()
    (here / "small.yaml").write_text(SWEEP + "limits: {weights_mb: 0.0001}\n")
    command = ("run", "small.yaml", "--inline", "--store", bucket.uri("rows"))

    def down_once_there_is_a_row() -> str | None:
        return "SlowDown" if parts else None

    parts: list[str] = []
    put = Store.append

    def append(store: Store, rows: list[dict[str, Any]]) -> str:
        parts.append(put(store, rows))
        return parts[-1]

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", append)
        bucket.trouble = down_once_there_is_a_row
        assert unilaw(patch, *command) == 2
    out, err = capfd.readouterr()
    (said,) = [line for line in err.splitlines() if line.startswith("unilaw: ")]
    assert (
        "cannot be" in said
        and "SLOW_DOWN" in said
        and "the same command goes on" in said
        and "Traceback" not in err
    )
    bucket.trouble = lambda: None
    kept = len(pd.read_parquet(bucket.uri("rows")))
    assert len(parts) == 1 and kept > 0 and bucket.names("rows/_tmp") == []
    assert unilaw(monkeypatch, *command) == 0
    assert latest(Store.open(bucket.uri("rows")).read().rows)["status"].eq("ok").sum() == 6
    folder_module._files.cache_clear()


@pytest.mark.parametrize(
    "command",
    [("run", "small.yaml", "--inline", "--store"), ("status",), ("measure",), ("report",)],
    ids=lambda c: c[0],
)
def test_a_server_that_is_not_there_is_said_in_one_sentence(
    command: tuple[str, ...],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    folder_module._files.cache_clear()
    gone = "s3://bucket/rows?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"
    assert unilaw(monkeypatch, *command, gone) == 2
    out, err = capfd.readouterr()
    assert (
        err.count("\n") == 1
        and err.startswith(f"unilaw: the store '{gone}' cannot be read: ")
        and "connect" in err.lower()
    ), err
    assert [p.name for p in here.iterdir()] == ["small.yaml"]
    folder_module._files.cache_clear()


def test_google_that_is_not_there_is_said_in_one_sentence(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    gone = (
        "gs://anonymous@bucket/rows?endpoint_override=127.0.0.1:9&scheme=http&retry_limit_seconds=1"
    )
    assert unilaw(monkeypatch, "run", "small.yaml", "--inline", "--store", gone) == 2
    out, err = capfd.readouterr()
    assert (
        err.count("\n") == 1
        and err.startswith(f"unilaw: the store '{gone}' cannot be read: ")
        and "connect" in err.lower()
    ), err


# Two drivers


@pytest.mark.parametrize("kind", ["disk", "bucket"])
def test_two_runs_into_one_store_at_once_lose_nothing(bucket: BucketServer, here: Path, kind: str):
    where = "rows" if kind == "disk" else bucket.uri("rows")
    others = SWEEP.replace("name: small", "name: other").replace("[4, 8, 12]", "[8, 12, 16]")
    (here / "other.yaml").write_text(others)
    both = [
        started("run", name, "--inline", "--store", where, cwd=here)
        for name in ("small.yaml", "other.yaml")
    ]
    for process in both:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0 and "0 failed" in out, err
    store = Store.open(where)
    contents = store.read()
    view = latest(contents.rows)
    assert contents.problems == [] and contents.rows["status"].eq("ok").all()
    assert sorted(json.loads(c)["width"] for c in view["config_json"]) == [
        4,
        4,
        8,
        8,
        12,
        12,
        16,
        16,
    ]
    assert view["trial_id"].is_unique and len(contents.rows) >= len(view)
    assert sorted(s.name for s in store.sweeps()) == ["other", "small"] and len(store.runs()) == 2
    assert all(store.files.size(name) for name in view["weights_file"])
    assert not [f for f in store.files.entries() if f.name.startswith("_tmp-")]
