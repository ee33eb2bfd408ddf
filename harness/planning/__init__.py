"""From trials to batches: sizes, memory, seconds, and which trials run together."""
