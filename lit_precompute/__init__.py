"""lit-precompute: embed once, tune many times."""
