"""Configurations that rows name are checked like a sweep file's.

Run alone: python -m pytest tests/planning/test_candidates.py
"""

import pytest

from harness.errors import UserError
from harness.planning.candidates import allowed


@pytest.mark.slow
def test_what_rows_name_is_not_read_unasked():
    """A store may come from anybody."""
    config = {"source": "idx:/etc", "label_flip": 0.1}
    with pytest.raises(UserError, match="name '/etc'|name 'idx:/etc'"):
        allowed("mnist", config, {}, read_sources=False)
    assert allowed("mnist", {"label_flip": 0.9}, {}, False) is None, "out of its range"
    assert allowed("mnist", {"label_flip": 0.1, "n": 4000}, {}, False) == {
        "label_flip": 0.1,
        "n": 4000,
    }
