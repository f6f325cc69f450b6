"""What is wrong with a dataset, in words: where, which rule, which value, what to do."""


class DatasetError(ValueError):
    """A dataset, or what was to be written into one, breaks a rule of the format (docs/format.md)."""
