"""Inside one worker: a batch of trials, within its limits, every failure caught and named."""
