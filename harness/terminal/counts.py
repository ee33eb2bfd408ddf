"""Counts in a command's last sentence."""

from collections import Counter


def by_kind(failed: Counter[str]) -> str:
    """Return " (2 bug, 1 oom)"; empty when nothing failed."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(failed.items()))
    return f" ({kinds})" if kinds else ""
