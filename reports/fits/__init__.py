"""Forms fitted to rows, each with intervals and a held-out error."""
