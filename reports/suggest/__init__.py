"""Which trials to run next, so that one exponent becomes surer for the least cost."""
