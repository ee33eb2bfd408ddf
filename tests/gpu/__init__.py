"""What needs a machine with a CUDA GPU: a check of everything in under eight minutes
(`python -m tests.gpu`), and the tests that `make gpu` runs."""
