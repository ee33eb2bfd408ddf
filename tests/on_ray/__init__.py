"""Tests that share one run on Ray, by a person who has secrets. They all go to one xdist worker."""
