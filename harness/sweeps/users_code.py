"""A task's own code, called outside a trial: whatever it raises is one sentence."""

import contextlib
import os
from collections.abc import Iterator
from typing import NoReturn

from harness.errors import UserError, what_raised


class UsersCodeRaised(UserError):
    """A user's code raised something other than a UserError."""


@contextlib.contextmanager
def users_code(whose: str, when: str) -> Iterator[None]:
    """Raise whatever the block raises as UsersCodeRaised, `WHOSE raises TYPE WHEN: MESSAGE`. A
    UserError and Ctrl-C pass as they are.

    Inside the block os._exit raises: it would end the command with any exit code and no word.
    """
    kept = os._exit
    os._exit = _exit_raises
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as e:
        raise UsersCodeRaised(f"{whose} raises {what_raised(e, when)}") from None
    finally:
        os._exit = kept


def _exit_raises(status: int) -> NoReturn:
    raise SystemExit(f"os._exit({status})")
