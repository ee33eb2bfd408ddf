"""How a command ends, as the number that a shell or a scheduler reads."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of `unilaw`. From 129 on, 128 + the number of a signal, as in shells."""

    DONE = 0
    FAILED = 1
    """Some trials failed, or a cluster's job did."""
    BAD_INPUT = 2
    HANGUP = 129
    """The terminal was closed (SIGHUP)."""
    INTERRUPTED = 130
    """Ctrl-C (SIGINT)."""
    READER_GONE = 141
    """Whoever read the output has gone away (SIGPIPE)."""
    TERMINATED = 143
    """Told to end, as by `timeout`, Slurm and Kubernetes (SIGTERM)."""
