"""Where a sweep can run. See README.md in this folder."""
