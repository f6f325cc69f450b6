"""Readers of weights files; none of them ever runs code from a file."""
