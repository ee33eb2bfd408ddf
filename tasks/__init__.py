"""Task definitions, one file per family, and the sweeps that ship with them."""
