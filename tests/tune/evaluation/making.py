"""A tuned model without training: its vectors are given, so that results can be known beforehand."""

import types

import numpy as np

from lit_precompute.schemas import DatasetWriter, captions_table, labels_table
from tests.schemas.making import SOURCE, card


class KnownModel:
    """Stands where a TunedModel does; a text's vector is looked up, a picture's is its stored vector made unit."""

    def __init__(self, vectors_by_text, fingerprint="f" * 64):
        self.vectors_by_text = vectors_by_text
        self.image_tower = card(fingerprint=fingerprint).model_dump()
        self.images_seen = []
        from lit_precompute.tune.model.tuned_model import TunedModel

        self.check_goes_with = types.MethodType(TunedModel.check_goes_with, self)
        self.preprocessing_differences = types.MethodType(TunedModel.preprocessing_differences, self)

    def embed_texts(self, texts):
        return unit([self.vectors_by_text[text] for text in texts])

    def embed_images(self, vectors):
        self.images_seen.append(vectors)
        return unit(vectors)


def unit(rows):
    """Returns float32 rows of length 1."""
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def write_rows(directory, vectors, texts, labels=None, vector_type="float32"):
    """Writes a dataset of these rows in small blocks."""
    vectors = np.asarray(vectors, np.float32)
    with DatasetWriter(
        directory,
        tower=card(width=vectors.shape[1]),
        source=SOURCE,
        vector_type=vector_type,
        tables=[captions_table(), *([labels_table()] if labels is not None else [])],
        rows_per_shard=7,
        block_rows=3,
    ) as writer:
        columns = {"captions": {"texts": texts}} | ({"labels": {"label": labels}} if labels is not None else {})
        writer.write(keys=[f"row-{row}" for row in range(len(vectors))], embeddings=vectors, columns=columns)
    return str(directory)
