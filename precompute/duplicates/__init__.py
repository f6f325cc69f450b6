"""Near-duplicates by embedding: which rows of a dataset are too similar to rows of others, or to earlier ones."""
