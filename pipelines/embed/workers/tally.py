"""Counting words of which a first occurrence is kept, such as reasons of failures."""

from collections.abc import Iterator


class Tally:
    """How often each of some words occurred, and the key of the first row it did."""

    def __init__(self) -> None:
        """Starts empty."""
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, what: str, key: str) -> None:
        """Counts one occurrence."""
        count, first = self._found.get(what, (0, key))
        self._found[what] = count + 1, first

    def __iter__(self) -> Iterator[tuple[str, tuple[int, str]]]:
        """Yields (what, (count, first key)), sorted."""
        return iter(sorted(self._found.items()))
