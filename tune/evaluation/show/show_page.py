"""What a page shows, before it is HTML or PNG."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Match:
    """One answer: a text or a picture's key, its similarity, and whether it is right."""

    name: str
    similarity: float
    is_right: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """What is shown: questions with their best answers, and thumbnails (PNG) by key; None where there is no picture."""

    title: str
    of_images: list[tuple[str, list[Match]]]
    of_texts: list[tuple[str, list[Match]]]
    thumbnails: dict[str, bytes | None]
