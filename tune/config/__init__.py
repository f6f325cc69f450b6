"""Configuration: what is trained, and how it is computed on this machine."""
