"""The version of the rules by which this package's report judges rows. Every row names it, so that
a page can say which rows were measured before a rule was set.

The rules themselves are the report's: `reports/rules.py` computes their hash, and
`tests/reports/test_rules.py` holds it equal to the one here.
"""

from datetime import UTC, datetime
from typing import NamedTuple


class Rules(NamedTuple):
    """One version of the rules by which the report judges rows. since: when it took effect. hash:
    of the text and constants of the rules."""

    version: int
    since: datetime
    hash: str

    @property
    def name(self) -> str:
        """Return the version and the hash, as rows name them."""
        return f"{self.version} ({self.hash})"


RULES = Rules(6, datetime(2026, 11, 27, 15, 30, tzinfo=UTC), "def0ff455e2c")
