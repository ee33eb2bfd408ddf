"""Plant known truths in simulated stores, and count how often the report states them."""
