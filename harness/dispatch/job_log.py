"""Following a job: its log from the beginning and as it grows, over connections that drop."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from http.client import HTTPException

from aiohttp import ClientError
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobSubmissionClient

from harness.dispatch import ray_internals
from harness.dispatch.error_lines import first_line
from harness.dispatch.job_server import MESSAGE_CHARACTERS, knock

QUIET_S = 60.0
"""A log without a new line for this long may be a connection that died without a word. It is opened
again."""

LOST_S = 120.0
"""How long a job server may be silent before its job is no longer followed."""

UNREADABLE_LOG_TRIES = 5
"""Attempts at the rest of an ended job's log before it is given up."""


class LostSight(Exception):
    """The job can be followed no longer; the message is one sentence. What the job has finished is
    in the store all the same."""


def follow(
    client: JobSubmissionClient, submission_id: str, write: Callable[[str], None]
) -> JobDetails:
    """Write the job's log from its beginning and as it grows. Return the job's details when it has
    ended.

    Reopens a dropped connection and resumes the log where it stopped. Raises LostSight
    when the server has not answered for LOST_S, or answers that it has no such job.
    """
    address = client.get_address()
    shown = 0
    answered_at = time.monotonic()
    looks_after_end = 0
    while True:
        shown, complete = asyncio.run(_show(client, submission_id, shown, write))
        try:
            knock(address)
            details = client.get_job_info(submission_id)
        except (OSError, HTTPException, AuthenticationError, RuntimeError) as e:
            if ray_internals.job_is_unknown(e):
                raise LostSight(
                    f"the cluster at {address} has no job {submission_id}; its head may be a new"
                    " one"
                ) from None
            if time.monotonic() - answered_at > LOST_S:
                raise LostSight(
                    f"{address} has not answered for {LOST_S:.0f} s"
                    f" ({first_line(e)[:MESSAGE_CHARACTERS]})"
                ) from None
            time.sleep(2)
            continue

        answered_at = time.monotonic()
        if details.status.is_terminal():
            looks_after_end += 1
            if complete or looks_after_end == UNREADABLE_LOG_TRIES:
                return details
        time.sleep(1)


async def _show(
    client: JobSubmissionClient, submission_id: str, shown: int, write: Callable[[str], None]
) -> tuple[int, bool]:
    """Write what comes after the first `shown` characters of the log. Return how many characters
    are shown now, and whether the log has ended."""
    to_skip = shown
    try:
        async with aclosing(client.tail_job_logs(submission_id)) as log:  # pyright: ignore[reportArgumentType] - an async generator
            while True:
                text = await asyncio.wait_for(anext(log), QUIET_S)
                new = text[to_skip:]
                to_skip = max(0, to_skip - len(text))
                write(new)
                shown += len(new)
    except StopAsyncIteration:
        return shown, True
    except (ClientError, OSError, RuntimeError, TimeoutError):
        return shown, False
