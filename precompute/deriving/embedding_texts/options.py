"""Which texts of a dataset are embedded with what, and how the table is called."""

import dataclasses
import re

from lit_precompute.schemas.text_tower_card import TEXT_EMBEDDINGS
from lit_precompute.schemas.vectors import VectorType
from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.encoder_options import TextEncoderOptions
from lit_precompute.towers.text.options import Pooling

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
# The captions' column of all texts.
TEXTS = "texts"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedTextsOptions:
    """Embedding the dataset's texts.

    Attributes:
      tower: Embed the dataset's texts with this frozen text tower: a name of `lit-tune towers`, or a folder with
        config.json and tokenizer.json. They become the table `text-embeddings-NAME`.
      name: NAME of the table; by default from the tower's.
      field: Column of the texts that are embedded or tokenised: `texts`, or one of named texts such as title.
      number: Which of a row's texts is embedded, from 1; a table has one embedding a row.
      weights: Weights of the text tower, by default its own.
      pooling: How the tokens' vectors become one; by default as the tower was published.
      max_tokens: Length of a row of tokens; by default the tower's, or 64.
      compute_type: Type of the text tower's products.
      vector_type: Type in which text embeddings are stored.
    """

    tower: str | None = None
    name: str | None = None
    field: str = TEXTS
    number: int = 1
    weights: str | None = None
    pooling: Pooling | None = None
    max_tokens: int | None = None
    compute_type: ComputeType = "float32"
    vector_type: VectorType = "float16"

    def __post_init__(self):
        if self.number < 1:
            raise ValueError(f"--text-number must be >= 1, got {self.number}")
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise ValueError(
                f"--text-embeddings-name must be of lower-case letters, digits, '_', '.' and '-', got {self.name!r}"
            )
        own = (field for field in dataclasses.fields(self) if field.name != "field")  # which --tokens has, too
        is_given = any(getattr(self, field.name) != field.default for field in own)
        if self.tower is None and is_given:
            raise ValueError("options of text embeddings are given, but no tower: add --text-embeddings-of TOWER")

    def encoder(self) -> TextEncoderOptions:
        """Returns which text tower, and how it is used."""
        assert self.tower is not None
        return TextEncoderOptions(
            name=self.tower,
            weights=self.weights,
            max_tokens=self.max_tokens,
            pooling=self.pooling,
            compute_type=self.compute_type,
        )

    def table(self) -> str:
        """Returns the name of the table: after the tower, and the texts where they are not the first of `texts`."""
        if self.name is not None:
            return f"{TEXT_EMBEDDINGS}-{self.name}"
        assert self.tower is not None
        own = re.sub(r"[^a-z0-9_.-]+", "-", self.tower.rstrip("/").rpartition("/")[2].lower()).strip("-.")
        parts = [
            own or "own",
            *([self.field] if self.field != TEXTS else []),
            *([str(self.number)] * (self.number > 1)),
        ]
        return f"{TEXT_EMBEDDINGS}-{'-'.join(parts)}"
