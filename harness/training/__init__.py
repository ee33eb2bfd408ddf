"""Training loops: what turns data and an untrained model into final weights and the reason for
stopping."""
