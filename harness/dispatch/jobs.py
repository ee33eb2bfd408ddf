"""A sweep as a job of a Ray cluster elsewhere: submitted once, followed, left alone, followed
again, cancelled.

The job runs `unilaw run SWEEP --address auto --store STORE` on the cluster's head. It carries what
that needs as the working folder of its driver and of every worker: the packages of this
installation, the sweep file and the task file. No environment variable of this machine goes along.
The cluster's Python must have the packages that unilaw depends on.
"""

import asyncio
import hashlib
import json
import logging
import os
import re
import shlex
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import ClientError
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

import harness
from harness.dispatch.worker import NAMES
from harness.errors import UserError
from harness.store import provenance
from harness.store.address import bucket_address
from harness.sweeps.registry import TaskRef
from harness.sweeps.sweep import Sweep, locate
from harness.sweeps.trial import canonical_json
from harness.sweeps.yaml_lines import read_document

KNOCK_S = 10.0
"""How long to wait for a job server to say anything at all."""

QUIET_S = 60.0
"""A log without a new line for so long may be a connection that died without a word: it is
opened again."""

LOST_S = 120.0
"""How long a job server may not answer before its job is no longer followed."""

STOP_S = 60.0
"""How long a cancelled job may take to end. Ray kills it after three seconds; the rest is a busy
head."""

Say = Callable[[str], None]


class Submitted(NamedTuple):
    """A job on the cluster; `attached` when it was running there already."""

    submission_id: str
    attached: bool


class LostSight(Exception):
    """The job can be followed no longer; one sentence. What it has finished is in the store all
    the same."""


def connect(address: str) -> JobSubmissionClient:
    """The job server at `address`, http(s)://HOST:PORT.

    Raises UserError when the address has another form, when no job server answers there within
    KNOCK_S, or when it does not get the token that it asks for.
    """
    try:
        parts = urlsplit(address)
        complete = (
            parts.scheme in ("http", "https")
            and parts.hostname
            and parts.port
            and f"{parts.scheme}://{parts.netloc}" == address
        )
    except ValueError:  # a port that is no number
        complete = False
    if not complete or "@" in address:
        raise UserError(
            f"--address {address}: must be http://HOST:PORT of the cluster's job server, as in"
            " http://127.0.0.1:8265"
        )
    # Ray would take these in place of what was typed
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(name, None)
    logging.getLogger("ray").setLevel(logging.ERROR)
    # these two set levels of their own, and tell of every upload
    for name in ("dashboard_sdk", "job.sdk"):
        logging.getLogger(f"ray.dashboard.modules.{name}").setLevel(logging.ERROR)
    with _in_one_sentence(address):
        _knock(address)
        return JobSubmissionClient(address)


def store_for(sweep: Sweep, store: str | None) -> str:
    """Where the job's rows go. Raises UserError on a relative path, which would lead into a
    folder that goes with the job."""
    where = store if store is not None else sweep.store
    if bucket_address(where) is not None or where.startswith("/"):
        return where.rstrip("/") or "/"
    named = "--store" if store is not None else sweep.store_where
    raise UserError(
        f"{named}: the store '{where}' is relative, and the job runs on the cluster: give --store"
        " s3://BUCKET/…, gs://BUCKET/… or the absolute path of a folder on the cluster's head"
    )


def submit(
    client: JobSubmissionClient,
    sweep: Sweep,
    refs: dict[str, TaskRef],
    store: str,
    retry_failed: bool,
) -> Submitted:
    """Start the sweep's job, or find it running. `refs` are those of the --task-file that the sweep
    was loaded with.

    The job's id is unilaw-NAME-HASH, its hash made of the sweep's text and trials, the task file
    and the store. Ray uses an id once, so that of a job which has ended gets a number: -2, -3, …
    """
    given = next(iter(refs.values()), None)
    content = [
        sweep.text,
        sorted(t.trial_id for t in sweep.trials),
        given.source if given else None,
        store,
    ]
    base = f"unilaw-{sweep.name}-{hashlib.sha256(canonical_json(content).encode()).hexdigest()[:8]}"
    with _in_one_sentence(client.get_address()):
        before = {
            d.submission_id: d
            for d in client.list_jobs()
            if re.fullmatch(rf"{base}(-\d+)?", d.submission_id or "")
        }
        for known, details in before.items():
            if known and not details.status.is_terminal():
                return Submitted(known, attached=True)
        submission_id = f"{base}-{len(before) + 1}" if before else base
        with tempfile.TemporaryDirectory(prefix="unilaw-") as folder:
            try:
                client.submit_job(
                    entrypoint=_packed(Path(folder), sweep, given, store, retry_failed),
                    submission_id=submission_id,
                    runtime_env={"working_dir": folder},
                    metadata={"unilaw_sweep": sweep.name, "unilaw_store": store},
                )
            except RuntimeError as e:
                # somebody launched the same a moment ago
                if f"{submission_id} already exists" in str(e):
                    return Submitted(submission_id, attached=True)
                raise
    return Submitted(submission_id, attached=False)


def _packed(
    folder: Path, sweep: Sweep, given: TaskRef | None, store: str, retry_failed: bool
) -> str:
    """Put what the job runs into `folder`; gives its command line. What the user named lies
    apart: a task file may be called random.py."""
    home = Path(harness.__file__).resolve().parent.parent
    for name in NAMES:
        shutil.copytree(
            home / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*")
        )
    commit = {
        key: value for key, value in provenance.of_code().items() if key in ("commit", "dirty")
    }
    (folder / "_commit.json").write_text(json.dumps(commit))
    (folder / "_given").mkdir()
    file = folder / "_given" / f"{sweep.name}.yaml"
    file.write_text(sweep.text)
    command = [
        "python",
        "-m",
        "harness.cli",
        "run",
        str(file.relative_to(folder)),
        "--address",
        "auto",
        "--store",
        store,
    ]
    if given is not None and given.source is not None:
        task_file = folder / "_given" / Path(given.file or "task.py").name
        task_file.write_text(given.source)
        command += ["--task-file", str(task_file.relative_to(folder))]
    return shlex.join([*command, "--retry-failed"] if retry_failed else command)


def follow(client: JobSubmissionClient, submission_id: str, write: Say) -> JobDetails:
    """Write the job's log from its beginning and as it grows; gives what became of the job when it
    has ended.

    A connection that drops is opened again, and the log goes on where it stopped. Raises LostSight
    when the server has not answered for LOST_S, or answers that it has no such job.
    """
    shown, answered, ends = 0, time.monotonic(), 0
    while True:
        shown, complete = asyncio.run(_show(client, submission_id, shown, write))
        try:
            _knock(client.get_address())
            details = client.get_job_info(submission_id)
        except (OSError, HTTPException, AuthenticationError, RuntimeError) as e:
            if "status code 404" in str(e):
                raise LostSight(
                    f"the cluster at {client.get_address()} has no job {submission_id}; its head"
                    " may be a new one"
                ) from None
            if time.monotonic() - answered > LOST_S:
                raise LostSight(
                    f"{client.get_address()} has not answered for {LOST_S:.0f} s ({_first_line(e)})"
                ) from None
            time.sleep(2)
            continue
        answered, ends = time.monotonic(), ends + details.status.is_terminal()
        # a log that cannot be read must not keep us here
        if details.status.is_terminal() and (complete or ends == 5):
            return details
        time.sleep(1)


async def _show(
    client: JobSubmissionClient, submission_id: str, shown: int, write: Say
) -> tuple[int, bool]:
    """Write what comes after the first `shown` characters of the log; gives how many are shown
    now, and whether the log ended."""
    skip = shown
    try:
        async with aclosing(client.tail_job_logs(submission_id)) as log:  # pyright: ignore[reportArgumentType] - an async generator
            while True:
                text = await asyncio.wait_for(anext(log), QUIET_S)
                new, skip = text[skip:], max(0, skip - len(text))
                write(new)
                shown += len(new)
    except StopAsyncIteration:
        return shown, True
    except (ClientError, OSError, RuntimeError, TimeoutError):
        return shown, False


def exit_code(details: JobDetails) -> int:
    """0 when all went well, 2 for bad input, 1 for failed trials and for all else."""
    if details.status == JobStatus.SUCCEEDED:
        return 0
    return 2 if details.driver_exit_code == 2 else 1


def how_it_ended(details: JobDetails) -> str:
    """One sentence on a job that has ended."""
    if details.status == JobStatus.STOPPED:
        return f"{details.submission_id} was cancelled"
    if details.status == JobStatus.FAILED and details.driver_exit_code is None:
        why = " ".join((details.message or "Ray does not say why").split())
        return f"{details.submission_id} failed without an exit code: {why[:1000]}"
    return f"{details.submission_id} ended with exit code {details.driver_exit_code or 0}"


def cancel(client: JobSubmissionClient, which: str) -> str:
    """Stop a job and wait until it has ended; gives a sentence. `which` is a submission id, or a
    sweep's file or shipped name.

    Raises UserError when there is no such job, or when several jobs of the sweep are running.
    """
    address = client.get_address()
    with _in_one_sentence(address):
        ours = {
            d.submission_id: d
            for d in client.list_jobs()
            if d.submission_id and "unilaw_sweep" in (d.metadata or {})
        }
        if which not in ours:
            which = _running(which, ours, address)
        if ours[which].status.is_terminal():
            return f"{which} has ended already: {ours[which].status.value}"
        client.stop_job(which)
        deadline = time.monotonic() + STOP_S
        while not client.get_job_status(which).is_terminal():
            if time.monotonic() > deadline:
                raise UserError(
                    f"{which} was told to stop and is still running after {STOP_S:.0f} s; run the"
                    " same command again"
                )
            time.sleep(0.5)
    return (
        f"{which} is cancelled; the trials that it finished are in"
        f" {(ours[which].metadata or {}).get('unilaw_store')}"
    )


def _running(sweep: str, ours: dict[str, JobDetails], address: str) -> str:
    """The id of the running job of a sweep."""
    if re.fullmatch(r"unilaw-.*-[0-9a-f]{8}(-\d+)?", sweep):
        raise UserError(f"there is no job {sweep} at {address}")
    document = read_document(locate(sweep)).value
    name = document.get("name") if isinstance(document, dict) else None
    running = [
        i
        for i, d in ours.items()
        if (d.metadata or {})["unilaw_sweep"] == name and not d.status.is_terminal()
    ]
    if len(running) != 1:
        several = (
            f"{len(running)} jobs of the sweep '{name}' are running at {address}, so give one of"
            f" their ids: {', '.join(running)}"
        )
        raise UserError(
            several if running else f"no job of the sweep '{name}' is running at {address}"
        )
    return running[0]


def _knock(address: str) -> None:
    """Raise OSError or HTTPException when nothing answers within KNOCK_S: Ray's client itself
    would wait without end."""
    try:
        urllib.request.urlopen(f"{address}/api/version", timeout=KNOCK_S).close()
    except urllib.error.HTTPError as e:  # no, but an answer
        e.close()


@contextmanager
def _in_one_sentence(address: str) -> Iterator[None]:
    """What can go wrong between here and a job server, as UserError."""
    try:
        yield
    except AuthenticationError:
        raise UserError(
            f"--address {address}: the cluster did not get the token that it asks for; set"
            " RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or ~/.ray/auth_token to the cluster's"
            " (clusters/README.md)"
        ) from None
    except (OSError, HTTPException) as e:
        raise UserError(
            f"--address {address}: no Ray job server answers there ({_first_line(e)})"
        ) from None
    except (RuntimeError, ValueError, KeyError) as e:
        raise UserError(
            f"--address {address}: what answers there is no job server, or refuses:"
            f" {_first_line(e)}"
        ) from None


def _first_line(e: Exception) -> str:
    return (str(e).strip() or type(e).__name__).splitlines()[0][:300]
