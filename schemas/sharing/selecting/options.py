"""What to select rows by, as options: those of `lit-data select`, and of `select` in Python."""

import dataclasses
from typing import Literal

from lit_precompute.schemas.limits import limit
from lit_precompute.schemas.sharing.selecting.choosing import Sample
from lit_precompute.schemas.sharing.selecting.criteria import Criterion, Labels, OfSelections, RowRange
from lit_precompute.schemas.sharing.selecting.key_files import read_keys
from lit_precompute.schemas.sharing.selecting.keys import Keys
from lit_precompute.schemas.sharing.selecting.texts import Languages, TextLength, TextPattern
from lit_precompute.schemas.sharing.selection import Selection


@dataclasses.dataclass(frozen=True, kw_only=True)
class Criteria:
    """What to select rows by; all that is given must hold."""

    keys: str | None = None
    """File of keys: text with one a line, a .parquet file, or DataComp's .npy of uids (u8,u8)."""
    key_column: str = "key"
    """Column of a .parquet file that has the keys."""
    max_missing: str = "0"
    """Refuse if more of the keys are no row's: a count (100) or a share (0.5%)."""
    unmatched: str | None = None
    """File to write all keys to that are no row's, one a line."""
    rows: tuple[int, int] | None = None
    """Rows from a first number on and before a second one: 0 1000 are the first thousand."""
    all_of: tuple[str, ...] = ()
    """Selections that all must have the row: their intersection."""
    any_of: tuple[str, ...] = ()
    """Selections of which one must have the row: their union."""
    none_of: tuple[str, ...] = ()
    """Selections that must not have the row; alone, this is the complement."""
    label: tuple[str, ...] = ()
    """Labels, by name or number as the dataset has them."""
    language: tuple[str, ...] = ()
    """Languages, as the dataset has them."""
    language_column: str = "language"
    """Column that has a row's language, or that of each of its texts."""
    min_characters: int | None = None
    """Least number of characters of a text; a row needs one text that is neither shorter nor longer than asked."""
    max_characters: int | None = None
    """Most characters of a text."""
    min_words: int | None = None
    """Least number of words of a text, which white space separates."""
    max_words: int | None = None
    """Most words of a text."""
    pattern: str | None = None
    """Regular expression (RE2) that one of the texts must contain; (?i) before it ignores case."""
    text_column: str = "texts"
    """Texts that patterns and lengths are about: a column of captions, such as title."""
    model: str | None = None
    """The folder `model` that lit-tune wrote, for the similarity of images and their texts."""
    min_similarity: float | None = None
    """Least cosine similarity of image and text."""
    best_share: float | None = None
    """Share of the rows with the highest similarity, of those that satisfy all of the above."""
    similarity_of: Literal["best", "mean"] = "best"
    """Of several texts: the similarity of the best one, or the mean."""
    random: int | None = None
    """Number of rows to draw at random from those that satisfy all else."""
    seed: int = 0
    """Seed of the draw."""

    def __post_init__(self):
        limit("max_missing", self.max_missing, 0)
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")
        if self.random is not None and self.random < 1:
            raise ValueError(f"random must be >= 1, got {self.random}")
        if self.best_share is not None and not 0 < self.best_share <= 1:
            raise ValueError(f"best_share must be in (0, 1], got {self.best_share}")
        if self.min_similarity is not None and not -1 <= self.min_similarity <= 1:
            raise ValueError(f"min_similarity must be a cosine, in [-1, 1], got {self.min_similarity}")
        if (self.model is None) != (self.min_similarity is None and self.best_share is None):
            raise ValueError(
                "similarity takes a model, and min_similarity or best_share or both; got "
                f"model {self.model}, min_similarity {self.min_similarity}, best_share {self.best_share}"
            )

    @property
    def sample(self) -> Sample | None:
        """What is drawn in the end."""
        return None if self.random is None else Sample(count=self.random, seed=self.seed)


def make_criteria(options: Criteria) -> list[Criterion]:
    """Returns the criteria that are asked of each row by itself, all but similarity; reads the files that they name.

    Raises:
      ValueError: a file holds no keys or is no selection, or a value breaks a rule; nothing is asked for.
    """
    found: list[Criterion] = []
    if options.keys is not None:
        found.append(
            Keys(options.keys, read_keys(options.keys, options.key_column), options.max_missing, options.unmatched)
        )
    if options.rows is not None:
        found.append(RowRange(*options.rows))
    for name, paths in (("all-of", options.all_of), ("any-of", options.any_of), ("none-of", options.none_of)):
        if paths:
            found.append(OfSelections(name, {path: Selection.open(path) for path in paths}))
    if options.label:
        found.append(Labels(options.label))
    if options.language:
        found.append(Languages(options.language, options.language_column))
    bounds = {
        "characters": (options.min_characters, options.max_characters),
        "words": (options.min_words, options.max_words),
    }
    for unit, (least, most) in bounds.items():
        if least is not None or most is not None:
            found.append(TextLength(unit, least, most, options.text_column))
    if options.pattern is not None:
        found.append(TextPattern(options.pattern, options.text_column))
    if not found and options.model is None and options.random is None:
        raise ValueError("nothing to select by; give at least one criterion, such as keys, label, pattern or random")
    return found
