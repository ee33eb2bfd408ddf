"""Tests that share one Ray cluster with a job server. They all go to one xdist worker."""
