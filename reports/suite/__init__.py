"""Suites that can be cited: frozen sweeps, reference rows, and whether a store agrees with them."""
