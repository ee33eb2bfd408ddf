"""A password in --address is repeated nowhere.

Run alone: python -m pytest tests/dispatch/test_addresses.py
"""

import pytest

from harness.dispatch import cluster, job_server
from harness.dispatch.addresses import shown, without_credentials
from harness.errors import UserError
from harness.sweeps.sweep import Resources

SECRET = [
    "http://me:hunter2@head:8265",
    "http://me:hun@ter2@head:8265",
    "https://head:8265?token=hunter2",
    "https://me:hunter2/@head:8265/x?y=hunter2",
    "me:hunter2@head:6379",
    "ray://me:hunter2@head:10001",
    "hunter2@head",
]


@pytest.mark.parametrize("address", SECRET)
def test_no_message_repeats_it(address: str):
    for connect in (job_server.connect, lambda a: cluster.connect(a, Resources())):
        with pytest.raises(UserError, match=r"^--address \S*…") as refused:
            connect(address)
        assert "hun" not in str(refused.value) and "head" in str(refused.value)


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:6379", "[::1]:6379", "http://head:8265"])
def test_an_address_without_one_is_shown_as_it_is(address: str):
    assert shown(address) == address


def test_others_messages_are_cleaned():
    said = "could not reach 'http://me:hunter2@head:8265' (me@head)"
    assert without_credentials(said) == "could not reach 'http://…@head:8265' (…@head)"
