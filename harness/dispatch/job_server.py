"""The job server of a Ray cluster elsewhere: reaching it, and what can go wrong on the way."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from urllib.parse import urlsplit

from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from harness.dispatch import ray_internals
from harness.dispatch.addresses import shown
from harness.dispatch.error_lines import first_line
from harness.errors import UserError

KNOCK_S = 10.0
"""How long to wait for any answer of a job server."""

MESSAGE_CHARACTERS = 300
"""How much of an error's first line a message repeats."""


def connect(address: str) -> JobSubmissionClient:
    """Return a client of the job server at `address`, http(s)://HOST:PORT.

    Raises UserError when the address has another form, when no job server answers there within
    KNOCK_S, or when the server does not get the token that it asks for.
    """
    if not _is_complete(address):
        raise UserError(
            f"--address {shown(address)}: must be http://HOST:PORT of the cluster's job server, as"
            " in http://127.0.0.1:8265"
        )

    ray_internals.forget_other_job_addresses()
    ray_internals.silence_job_client()
    with errors_in_one_sentence(address):
        knock(address)
        return JobSubmissionClient(address)


def _is_complete(address: str) -> bool:
    """Return whether the address is http(s)://HOST:PORT and no more; a user and a password are
    more."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:  # a port that is no number
        return False

    if parts.scheme not in ("http", "https") or not parts.hostname or not port:
        return False
    return f"{parts.scheme}://{parts.netloc}" == address and "@" not in address


def knock(address: str) -> None:
    """Raise OSError or HTTPException when nothing answers within KNOCK_S: Ray's client itself would
    wait without end."""
    try:
        urllib.request.urlopen(f"{address}{ray_internals.VERSION_PATH}", timeout=KNOCK_S).close()
    except urllib.error.HTTPError as e:  # no, but an answer
        e.close()


@contextmanager
def errors_in_one_sentence(address: str) -> Iterator[None]:
    """Turn every error between this machine and a job server into a UserError of one sentence."""
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
            f"--address {address}: no Ray job server answers there"
            f" ({first_line(e)[:MESSAGE_CHARACTERS]})"
        ) from None
    except (RuntimeError, ValueError, KeyError) as e:
        raise UserError(
            f"--address {address}: what answers there is no job server, or refuses:"
            f" {first_line(e)[:MESSAGE_CHARACTERS]}"
        ) from None
