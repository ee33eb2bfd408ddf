"""The commands of `unilaw`, one file each. A command reads its input, calls one function and
prints what it returned."""
