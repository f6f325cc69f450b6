"""A cache on this machine for files that are elsewhere."""
