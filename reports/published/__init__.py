"""Figures from the literature, as CSV with their sources."""
