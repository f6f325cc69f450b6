"""What the options of a derivation add, opened."""

from lit_precompute.precompute.deriving.additions.addition import Addition
from lit_precompute.precompute.deriving.additions.contents import Captions, Labels
from lit_precompute.precompute.deriving.additions.files import KeyedFiles
from lit_precompute.precompute.deriving.additions.kept_texts import KeptTexts
from lit_precompute.precompute.deriving.additions.vector_files import ENDINGS, VectorFiles
from lit_precompute.precompute.deriving.additions.vectors import DatasetVectors
from lit_precompute.precompute.deriving.options import DeriveOptions, named
from lit_precompute.schemas.tables import EMBEDDINGS
from lit_precompute.schemas.text_tower_card import TEXT_EMBEDDINGS


def open_additions(options: DeriveOptions, kept: KeptTexts | None) -> list[Addition]:
    """Opens all files and datasets; none of their rows is read.

    Args:
      options: what is added.
      kept: texts that stay before those of files.

    Raises:
      ValueError: one cannot be opened, or lacks what is needed of it; or an option is missing.
    """
    additions: list[Addition] = []
    language = options.language_column
    if options.captions is not None:
        spec = options.spec(options.captions)
        names = dict.fromkeys([*(kept.named if kept else ()), *spec.columns.named_columns])
        has_languages = language is not None or (kept is not None and kept.has_languages)
        captions = Captions(named=tuple(names), has_languages=has_languages)
        additions.append(KeyedFiles(spec, captions, gathers=options.gather, language_column=language))
    if options.labels is not None:
        additions.append(KeyedFiles(options.spec(options.labels), Labels(), gathers=options.gather))
    for name, path in named(options.text_embeddings, "--text-embeddings").items():
        if not path.lower().endswith(ENDINGS):
            additions.append(DatasetVectors(TEXT_EMBEDDINGS, name, path))
        elif options.text_tower is None:
            raise ValueError(
                f"--text-embeddings {name}={path}: what made them? Give it as --text-tower, to be recorded"
            )
        else:
            additions.append(VectorFiles(name, path, options.columns.key, options.text_tower))
    for name, path in named(options.embeddings, "--embeddings").items():
        additions.append(DatasetVectors(EMBEDDINGS, name, path))
    return additions
