"""Batches on Ray. This is the only room that imports Ray."""
