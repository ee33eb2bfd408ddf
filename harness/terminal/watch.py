"""Show something again and again until it has come to its end."""

import time
from collections.abc import Callable
from typing import NamedTuple

from harness.errors import UserError

CLEAR = "\x1b[H\x1b[2J"
"""Moves a terminal's cursor home, and clears the screen."""


class Shown(NamedTuple):
    """What there is to see, and whether there will be more."""

    text: str
    is_over: bool


def watch(
    look: Callable[[], Shown],
    write: Callable[[str], object],
    every_s: float,
    in_terminal: bool,
    sleep: Callable[[float], object],
    failed: Callable[[str], object] | None = None,
) -> None:
    """Look every `every_s` seconds and write what is seen, until it is over or Ctrl-C. A terminal
    is written anew each time; elsewhere only changes are written.

    The first look raises what it raises. Later a UserError, as from a bucket that does not answer,
    is told to `failed`, or without it shown in place of what could not be seen, and the watch goes
    on.
    """
    shown = look()
    before = None
    try:
        while True:
            if in_terminal:
                foot = f"{time.strftime('%H:%M:%S')}, every {every_s:g} s; Ctrl-C ends the watch"
                write(f"{CLEAR}{shown.text}\n{foot}")
            elif shown.text != before:
                write(shown.text)
            if shown.is_over:
                return

            before = shown.text
            sleep(every_s)
            try:
                shown = look()
            except UserError as e:
                sentence = f"{e}; looking again in {every_s:g} s"
                if failed is None:
                    shown = Shown(sentence, is_over=False)
                else:
                    failed(sentence)
    except KeyboardInterrupt:
        return
