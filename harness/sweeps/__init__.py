"""From a YAML file to trials: what is asked for, checked before anything runs."""
