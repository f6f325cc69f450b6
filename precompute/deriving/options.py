"""What a dataset is derived from, and how."""

import dataclasses
import re
from collections.abc import Sequence

from lit_precompute.precompute.deriving.embedding_texts.options import EmbedTextsOptions
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
from lit_precompute.precompute.sources.spec_text import parse_spec
from lit_precompute.schemas.limits import limit
from lit_precompute.schemas.token_tables import TEXTS

_NAMED = re.compile(r"([a-z0-9][a-z0-9_.-]*)=(.+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeriveOptions:
    """A dataset, an output, and what the output has beside the dataset's tables, or in their place.

    Attributes:
      base: The dataset to refer to: a directory, or a URL; it may be read-only, and is not changed.
      output: Directory or URL of the derived dataset.
      captions: Texts by key, which take the place of the dataset's: a .csv, .tsv, .jsonl, .parquet or .arrow file, a
        folder or pattern of them, perhaps compressed; with settings behind it, as a source: 'de.tsv?text=german'.
      labels: Labels by key, which take the place of the dataset's; the same kinds of files.
      embeddings: Embeddings of the same images by another tower or of another view, NAME=DATASET: they become the table
        `embeddings-NAME`. It is referred to where the other dataset has a table of this name, the same rows and blocks;
        otherwise its rows are found by key and written.
      text_embeddings: Embeddings of texts, one a row, as the table `text-embeddings-NAME`: NAME=DATASET, or NAME=FILE
        for Parquet files with a column of keys and one of vectors.
      text_tower: What made the text embeddings of files, such as a tower's name; it is recorded.
      embed_texts: whether and how the dataset's texts are embedded.
      format: Format of the files if their names do not tell: tsv, quoted-tsv, semicolon-csv, jsonl ...
      columns: Names of the files' columns. Keys are in --key-column; where there is none, paths of images are the keys,
        as for an embedded source.
      gather: One text a row: rows of the same key, wherever they are, become one with all texts.
      keep_texts: Keep the dataset's texts, before those of --captions.
      language_column: Column of the texts' language, which is kept beside each text.
      max_missing: Refuse if more of the dataset's rows are in none of a file's: a count (100) or a share (0.5%).
      max_surplus: Refuse if more keys of a file are not the dataset's: a count or a share of them. Keys of images that
        could not be embedded are not counted.
      tokens: A tokenizer that the dataset's texts, or those of --text-field, are tokenised with, once, as the table
        `tokens-ID`: a saved one's folder, a training run's or tuned model's; a .model, tokenizer.json or vocab.txt
        file; or a name, such as google-bert/bert-base-uncased. Training with it then tokenises nothing.
      max_pieces: Of a text's pieces so many are kept: the table serves rows of as many tokens, and shorter ones.
      join_texts: Tokenise all of a row's texts as one, joined by this, as recipes with text.choice=join do.
      lower_case: Lower-case texts before a .model file's tokenizer; others know whether to.
      unmatched: Write all missing and surplus keys to this file, one a line.
    """

    base: str
    output: str
    captions: str | None = None
    labels: str | None = None
    embeddings: tuple[str, ...] = ()
    text_embeddings: tuple[str, ...] = ()
    text_tower: str | None = None
    embed_texts: EmbedTextsOptions = dataclasses.field(default_factory=EmbedTextsOptions)
    format: str | None = None
    columns: SourceColumns = dataclasses.field(default_factory=SourceColumns)
    gather: bool = False
    keep_texts: bool = False
    language_column: str | None = None
    tokens: str | None = None
    max_pieces: int = 64
    join_texts: str | None = None
    lower_case: bool = True
    max_missing: str = "0"
    max_surplus: str = "0"
    unmatched: str | None = None

    def __post_init__(self):
        limit("--max-missing", self.max_missing, 0)
        limit("--max-surplus", self.max_surplus, 0)
        named(self.embeddings, "--embeddings")
        named(self.text_embeddings, "--text-embeddings")
        is_matched = bool(
            self.captions is not None or self.labels is not None or self.embeddings or self.text_embeddings
        )
        embeds = self.embed_texts.tower is not None
        if not is_matched and not embeds and self.tokens is None:
            raise ValueError(
                "nothing to derive: give --captions, --labels, --embeddings, --text-embeddings, --text-embeddings-of "
                "or --tokens"
            )
        if self.captions is not None and embeds:
            raise ValueError(
                "--text-embeddings-of embeds the texts that the dataset has, not those of --captions: derive twice, "
                "with the new captions first"
            )
        if (is_matched or embeds) and self.tokens is not None:
            raise ValueError(
                "--tokens are of the texts that a dataset has: derive the rest first, and then tokens of that dataset"
            )
        if not embeds and self.tokens is None and self.embed_texts.field != TEXTS:
            raise ValueError("--text-field is about --text-embeddings-of and --tokens; give one of them")
        if self.max_pieces < 1:
            raise ValueError(f"--max-pieces must be >= 1, got {self.max_pieces}")
        if self.captions is None and (self.keep_texts or self.language_column is not None):
            raise ValueError("--keep-texts and --language-column are about --captions, which is not given")

    def spec(self, path: str) -> SourceSpec:
        """Returns the source that a file of texts or labels is, read as these options say."""
        return parse_spec(path, SourceSpec(path, format=self.format, columns=self.columns))


def named(given: Sequence[str], flag: str) -> dict[str, str]:
    """Returns the paths by name of "NAME=PATH" values.

    Raises:
      ValueError: one is not written so, or a name repeats.
    """
    found: dict[str, str] = {}
    for each in given:
        match = _NAMED.fullmatch(each)
        if match is None:
            raise ValueError(f"{flag} must be NAME=PATH, a name in lower case such as view2, got {each!r}")
        if match[1] in found:
            raise ValueError(f"{flag}: the name {match[1]!r} is given twice")
        found[match[1]] = match[2]
    return found
