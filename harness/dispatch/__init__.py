"""Batches on Ray. This is the only room that imports Ray."""

# First of all: it sets environment variables that Ray reads when it is imported.
from harness.dispatch import ray_internals as ray_internals
