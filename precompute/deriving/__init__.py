"""Deriving datasets: tables of one's own, by key, beside another dataset's files."""
