"""Addresses of buckets: which are accepted, and what is said of the others.

Run alone: python -m pytest tests/store/test_addresses.py
"""

import json
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.store import bucket as bucket_module
from harness.store.address import bucket_address
from harness.store.location import folder_at
from harness.store.store import Store
from tests.bucket_server import BucketServer
from tests.store.planted_secret import SECRET
from tests.store.small_sweep import SWEEP, exit_code_of

pytestmark = pytest.mark.usefixtures("credentials")

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
"""Part of the message for each address that is refused."""


@pytest.mark.slow
@pytest.mark.parametrize("where,message", BAD.items(), ids=range(len(BAD)))
def test_a_wrong_address_or_one_with_credentials_is_refused_in_one_sentence(
    where: str,
    message: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    (here / "bad.yaml").write_text(SWEEP + f"store: {json.dumps(where)}\n")
    for command in (
        ("run", "small.yaml", "--inline", "--store", where),
        ("status", where),
        ("measure", where),
        ("report", where),
        ("compact", where, "new"),
        ("run", "bad.yaml"),
    ):
        assert exit_code_of(monkeypatch, *command) == 2
        out, err = capfd.readouterr()
        assert err.startswith("unilaw: ") and err.count("\n") == 1 and message in err, err
        assert SECRET not in out + err and "AKIA" not in out + err
    assert sorted(p.name for p in here.iterdir()) == ["bad.yaml", "small.yaml"]


@pytest.mark.parametrize(
    "where", ["rows", "a:b", "/abs/rows", "~/rows", "C:/rows", "rows?x=1", "a@b"]
)
def test_everything_else_is_a_folder(where: str):
    assert bucket_address(where) is None


def test_anonymous_access_to_google_is_no_credential():
    where = "gs://anonymous@bucket/rows"
    assert bucket_address(where) is not None
    assert folder_at(where).where == where


@pytest.mark.slow
def test_attempts_that_are_no_number_are_refused(
    bucket: BucketServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "many")
    bucket_module.file_system.cache_clear()
    with pytest.raises(UserError, match="AWS_MAX_ATTEMPTS is 'many'"):
        Store.create(bucket.uri("rows"))


@pytest.mark.slow
def test_a_bucket_that_does_not_exist_is_named(bucket: BucketServer):
    with pytest.raises(UserError, match="cannot be written: .*NO_SUCH_BUCKET"):
        Store.create(bucket.uri("rows").replace("//bucket/", "//other-bucket/"))
