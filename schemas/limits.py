"""Limits that are a count or a share."""


def limit(flag: str, text: str, number: int) -> int:
    """Returns how many of a number "100" or "0.5%" means.

    Raises:
      ValueError: neither a count nor a percentage.
    """
    is_share = text.endswith("%")
    try:
        value = float(text[:-1]) if is_share else int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= (100 if is_share else float("inf")):
        raise ValueError(f"{flag} must be a count like 100 or a share like 0.5%, got {text!r}")
    return int(value * number / 100) if is_share else int(value)
