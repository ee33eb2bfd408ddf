"""A secret key that stands in the tests' environment. It must appear in no message and no file."""

SECRET = "planted5ecretThatNobodyMayRead"
