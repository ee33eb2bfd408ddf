"""Scaling fits for anybody's table: forms by name, fits with intervals, and an audit."""
