"""Addresses of clusters as messages may repeat them: a user often pastes one with a password."""

import re


def shown(address: str) -> str:
    """Return the address without a user, a password and what follows a question mark.

    >>> shown("http://me:secret@head:8265"), shown("head:6379?token=secret")
    ('http://…@head:8265', 'head:6379?…')
    """
    scheme, colon, rest = address.rpartition("://")
    _, at, host = rest.rpartition("@")
    host, question, _ = host.partition("?")
    return f"{scheme}{colon}{'…@' if at else ''}{host}{'?…' if question else ''}"


def without_credentials(text: str) -> str:
    """Return another's message without what may be a user and a password before a host's name."""
    return re.sub(r"[^\s/'\"(]+@(?=\w)", "…@", text)
