"""Choosing an image tower: a sample of the source is embedded with several, and a small text tower tuned on each."""
