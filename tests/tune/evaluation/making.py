"""A tuned model without training: its embeddings are given, so that results are known in advance."""

import numpy as np

from lit_precompute.schemas import DatasetWriter, captions_table, labels_table
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.model.tuned_model import TunedModel
from tests.schemas.making import SOURCE, card


class KnownModel(TunedModel):
    """A TunedModel without towers: texts are looked up, images are their stored vectors, normalised."""

    def __init__(self, vectors_by_text, fingerprint="f" * 64):
        self.vectors_by_text = vectors_by_text
        self.images_seen = []
        object.__setattr__(self, "recipe", Recipe())
        object.__setattr__(self, "image_tower", card(fingerprint=fingerprint).model_dump())  # it is frozen

    @property
    def output_width(self):
        return len(next(iter(self.vectors_by_text.values())))

    def embed_texts(self, texts):
        return unit([self.vectors_by_text[text] for text in texts])

    def embed_images(self, vectors):
        self.images_seen.append(vectors)
        return unit(vectors)


def unit(rows):
    """Returns the rows as float32, normalised to length 1."""
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def write_rows(directory, vectors, texts, labels=None, vector_type="float32", rows=7):
    """Writes a dataset with these rows in small blocks, `rows` in a shard and about half of them in a block."""
    vectors = np.asarray(vectors, np.float32)
    with DatasetWriter(
        directory,
        tower=card(width=vectors.shape[1]),
        source=SOURCE,
        vector_type=vector_type,
        tables=[captions_table(), *([labels_table()] if labels is not None else [])],
        rows_per_shard=rows,
        block_rows=rows // 2,
    ) as writer:
        columns = {"captions": {"texts": texts}} | ({"labels": {"label": labels}} if labels is not None else {})
        writer.write(keys=[f"row-{row}" for row in range(len(vectors))], embeddings=vectors, columns=columns)
    return str(directory)
