"""A sweep as a job of a Ray cluster elsewhere: submitted once, followed, left alone, followed
again, cancelled.

The job runs `unilaw run SWEEP --address auto --store STORE` on the cluster's head. It carries what
that command needs as the working folder of its driver and of every worker (`job_package.py`). No
environment variable of this machine goes along. The cluster's Python must have the packages that
unilaw depends on. `job_server.py` reaches the cluster, `job_log.py` follows a job.
"""

import re
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from harness.dispatch import ray_internals
from harness.dispatch.job_package import base_id, pack
from harness.dispatch.job_server import errors_in_one_sentence
from harness.errors import UserError
from harness.exit_codes import ExitCode
from harness.store.location import bucket_address
from harness.sweeps.registry import TaskRef
from harness.sweeps.sweep import Sweep, locate
from harness.sweeps.yaml_lines import read_document

STOP_S = 60.0
"""How long a cancelled job may take to end. Ray kills it after three seconds; the rest allows for a
busy head."""


class Submitted(NamedTuple):
    """A job on the cluster."""

    submission_id: str
    attached: bool
    """Whether it was running there already."""


def store_for(sweep: Sweep, store: str | None) -> str:
    """Return where the job's rows go. Raises UserError on a relative path, which would lead into
    the job's own working folder."""
    where = store if store is not None else sweep.store
    if bucket_address(where) is not None or where.startswith("/"):
        return where.rstrip("/") or "/"

    source = "--store" if store is not None else sweep.store_where
    raise UserError(
        f"{source}: the store '{where}' is relative, and the job runs on the cluster: give --store"
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

    Ray uses an id once, so the same sweep's job after one that has ended gets a number: -2, -3, …
    """
    task_file = next(iter(refs.values()), None)
    base = base_id(sweep, task_file, store)
    with errors_in_one_sentence(client.get_address()):
        earlier = {
            job.submission_id: job
            for job in client.list_jobs()
            if job.submission_id and re.fullmatch(rf"{base}(-\d+)?", job.submission_id)
        }
        for submission_id, job in earlier.items():
            if not job.status.is_terminal():
                return Submitted(submission_id, attached=True)

        submission_id = f"{base}-{len(earlier) + 1}" if earlier else base
        with tempfile.TemporaryDirectory(prefix="unilaw-") as folder:
            try:
                client.submit_job(
                    entrypoint=pack(Path(folder), sweep, task_file, store, retry_failed),
                    submission_id=submission_id,
                    runtime_env={"working_dir": folder},
                    metadata={"unilaw_sweep": sweep.name, "unilaw_store": store},
                )
            except RuntimeError as e:
                # somebody launched the same a moment ago
                if ray_internals.job_exists_already(e, submission_id):
                    return Submitted(submission_id, attached=True)
                raise

    return Submitted(submission_id, attached=False)


def exit_code(details: JobDetails) -> int:
    """Return 0 when all went well, 2 for bad input, 1 for failed trials and for all else."""
    if details.status == JobStatus.SUCCEEDED:
        return ExitCode.DONE
    bad_input = details.driver_exit_code == ExitCode.BAD_INPUT
    return ExitCode.BAD_INPUT if bad_input else ExitCode.FAILED


def how_it_ended(details: JobDetails) -> str:
    """Return one sentence on a job that has ended."""
    if details.status == JobStatus.STOPPED:
        return f"{details.submission_id} was cancelled"
    if details.status == JobStatus.FAILED and details.driver_exit_code is None:
        why = " ".join((details.message or "Ray does not say why").split())
        return f"{details.submission_id} failed without an exit code: {why[:1000]}"
    return f"{details.submission_id} ended with exit code {details.driver_exit_code or 0}"


def cancel(client: JobSubmissionClient, which: str) -> str:
    """Stop a job, wait until it has ended, and return a sentence about it. `which` is a submission
    id, or a sweep's file or shipped name.

    Raises UserError when there is no such job, or when several jobs of the sweep are running.
    """
    address = client.get_address()
    with errors_in_one_sentence(address):
        jobs = {
            job.submission_id: job
            for job in client.list_jobs()
            if job.submission_id and "unilaw_sweep" in (job.metadata or {})
        }
        submission_id = which if which in jobs else _running_job_of(which, jobs, address)
        job = jobs[submission_id]
        if job.status.is_terminal():
            return f"{submission_id} has ended already: {job.status.value}"

        client.stop_job(submission_id)
        _wait_for_end(client, submission_id)

    store = (job.metadata or {}).get("unilaw_store")
    return f"{submission_id} is cancelled; the trials that it finished are in {store}"


def _running_job_of(sweep: str, jobs: dict[str, JobDetails], address: str) -> str:
    """Return the id of the running job of a sweep. Raises UserError unless there is exactly one."""
    if re.fullmatch(r"unilaw-.*-[0-9a-f]{8}(-\d+)?", sweep):
        raise UserError(f"there is no job {sweep} at {address}")

    document = read_document(locate(sweep)).value
    name = document.get("name") if isinstance(document, dict) else None
    running = [
        submission_id
        for submission_id, job in jobs.items()
        if (job.metadata or {})["unilaw_sweep"] == name and not job.status.is_terminal()
    ]
    if not running:
        raise UserError(f"no job of the sweep '{name}' is running at {address}")
    if len(running) > 1:
        raise UserError(
            f"{len(running)} jobs of the sweep '{name}' are running at {address}, so give one of"
            f" their ids: {', '.join(running)}"
        )
    return running[0]


def _wait_for_end(client: JobSubmissionClient, submission_id: str) -> None:
    """Raise UserError when the job is still running after STOP_S."""
    deadline = time.monotonic() + STOP_S
    while not client.get_job_status(submission_id).is_terminal():
        if time.monotonic() > deadline:
            raise UserError(
                f"{submission_id} was told to stop and is still running after {STOP_S:.0f} s; run"
                " the same command again"
            )
        time.sleep(0.5)
