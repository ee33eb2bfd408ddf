"""Train models: turn data and an untrained model into final weights and the reason for stopping."""
