"""Embedding a dataset's texts with a frozen text tower, into a table of a derived dataset."""
