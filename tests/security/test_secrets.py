"""An address of a store that carries a secret is refused, and the refusal does not repeat it.

Run alone: python -m pytest tests/security/test_secrets.py
"""

import json
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.store.store import Store
from harness.sweeps.sweep import parse_sweep
from tests.security.canary import SECRET

ADDRESSES = [
    f"s3://AKIA0000:{SECRET}@bucket/rows",
    f"s3://bucket/rows?access_key=AKIA0000&secret_key={SECRET}",
    f"s3://bucket/rows?session_token={SECRET}",
    f"s3://bucket/rows?endpoint_override=me:{SECRET}@example.org",
    f"gs://{SECRET}@bucket/rows",
    f"https://{SECRET}@example.org/rows",
]


@pytest.mark.parametrize("address", ADDRESSES, ids=range(len(ADDRESSES)))
def test_an_address_with_a_secret_is_refused_and_not_repeated(
    tmp_path: Path, monkeypatch, address: str
):
    monkeypatch.chdir(tmp_path)
    sweep = f"name: a\nseeds: [0]\nstore: {json.dumps(address)}\ntasks:\n  - task: sphere\n"
    for refuse in (
        lambda: parse_sweep(sweep, "sweep.yaml"),
        lambda: Store.create(address),
        lambda: Store.open(address),
    ):
        with pytest.raises(UserError) as refused:
            refuse()
        assert SECRET not in str(refused.value)
    assert list(tmp_path.iterdir()) == []
