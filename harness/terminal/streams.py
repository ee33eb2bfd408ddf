"""The standard streams as a command needs them, whatever its caller has made of them: closed, full,
or of an encoding that lacks our signs."""

import codecs
import errno
import io
import os
import sys
import unicodedata
from typing import Any

from harness.errors import UserError, strip_control_chars
from harness.exit_codes import ExitCode

PLAIN_SIGNS = {
    "≤": "<=",
    "≥": ">=",
    "−": "-",
    "–": "-",
    "×": "x",
    "·": ".",
    "±": "+-",
    "‖": "||",
    "⟨": "<",
    "⟩": ">",
    "“": '"',
    "”": '"',
    "∞": "inf",
    "ℓ": "l",
    "δ": "delta",
    "λ": "lambda",
    "σ": "sigma",
    "Σ": "sum",
    "∇": "grad",
    "→": "->",
    "√": "sqrt",
    "✓": "ok",
    "✗": "x",
}
"""What stands for a sign in an encoding that lacks it; for others, Unicode's own decomposition."""


def prepare_streams() -> None:
    """Make the standard streams fit for whatever this command reads and writes."""
    _open_closed()
    codecs.register_error("plain", _in_plain_signs)
    sys.stdout = _sturdy(sys.stdout, sys.__stdout__, _Output)
    sys.stderr = _sturdy(sys.stderr, sys.__stderr__, _Display)


def _open_closed() -> None:
    """Open /dev/null in place of the streams that the caller has closed. The next file that is
    opened would get the number of such a stream, and with it what Ray and C libraries print."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    """Return a stand-in for the characters that an encoding lacks, and where encoding goes on."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    if character in PLAIN_SIGNS:
        return PLAIN_SIGNS[character]
    parts = unicodedata.normalize("NFKD", character)
    return parts.encode("ascii", "ignore").decode() or "?"


def say(line: str) -> None:
    """Print a line to stderr: stdout is for results. Where nobody reads stderr any more, end the
    command as SIGPIPE would."""
    try:
        print(strip_control_chars(line), file=sys.stderr)
    except BrokenPipeError:
        _to_nowhere(sys.stderr.fileno())
        raise SystemExit(ExitCode.READER_GONE) from None


class _Output(io.FileIO):
    """stdout. What it cannot take is a UserError, once: the rest goes nowhere, and no other message
    follows when Python flushes it at the end. Without a reader it ends the command as SIGPIPE
    would; typer would make that exit code 1, which is for failed trials."""

    def write(self, content: Any) -> int | None:
        try:
            return super().write(content)
        except OSError as e:
            _to_nowhere(self.fileno())
            if e.errno == errno.EPIPE:
                raise SystemExit(ExitCode.READER_GONE) from None
            raise UserError(f"stdout cannot be written: {e.strerror}") from None


class _Display(io.FileIO):
    """stderr. What it cannot take is lost, and nothing else is."""

    def write(self, content: Any) -> int | None:
        try:
            return super().write(content)
        except OSError as e:
            if e.errno == errno.EPIPE:
                raise
            _to_nowhere(self.fileno())
            return len(content)


def _to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _sturdy(stream: Any, own: Any, kind: type[io.FileIO]) -> Any:
    """Return the process's `own` stream over a file of this kind, in signs that its encoding has.
    A stream that somebody put in its place, as in a test, only gets the signs."""
    if stream is not own or not isinstance(stream, io.TextIOWrapper):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")
        return stream

    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(kind(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="plain",
        line_buffering=stream.line_buffering or stream.write_through,
    )
