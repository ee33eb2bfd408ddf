"""One line of an exception's message: Ray's messages are often pages long."""


def first_line(e: Exception) -> str:
    """Return the first line of the message, or the exception's type if it has no message."""
    return _lines(e)[0]


def last_line(e: Exception) -> str:
    """Return the last line of the message, or the exception's type if it has no message."""
    return _lines(e)[-1].strip()


def _lines(e: Exception) -> list[str]:
    message = str(e).strip() or type(e).__name__
    return message.splitlines()
