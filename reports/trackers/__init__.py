"""Rows on their way out of the store: to MLflow, Weights & Biases, trackio and the Hub."""
