"""Numbers in sentences, for whatever the commands print."""


def counted(number: int, noun: str) -> str:
    """Returns "1 shard", "2 shards", "1,024 shards"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
