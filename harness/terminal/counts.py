"""Counts in what a command prints."""

from collections import Counter


def counted(count: int, one: str, more: str) -> str:
    """Return the count with its noun: "1 batch", "2 batches"."""
    return f"{count} {one if count == 1 else more}"


def by_kind(failed: Counter[str]) -> str:
    """Return " (2 bug, 1 oom)"; empty when nothing failed."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(failed.items()))
    return f" ({kinds})" if kinds else ""
