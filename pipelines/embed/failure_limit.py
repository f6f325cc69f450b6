"""How many pictures may fail before a job stops: a count or a share of the rows."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class FailureLimit:
    """At most `rows` failures; None for any number."""

    rows: int | None

    @classmethod
    def parse(cls, text: str | None, num_rows: int) -> "FailureLimit":
        """Returns the limit that "100" or "0.5%" means for so many rows.

        Raises:
          ValueError: neither a count nor a per cent value.
        """
        if text is None:
            return cls(None)
        is_share = text.endswith("%")
        try:
            value = float(text[:-1]) if is_share else int(text)
        except ValueError:
            value = -1
        if not 0 <= value <= (100 if is_share else float("inf")):
            raise ValueError(f"--max-failures must be a count like 100 or a share like 0.5%, got {text!r}")
        return cls(int(value * num_rows / 100) if is_share else int(value))

    def is_exceeded(self, num_failures: int) -> bool:
        """Returns whether so many failures are too many."""
        return self.rows is not None and num_failures > self.rows
