"""Datasets with near-duplicates, and the plainest way to find them."""

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity

from lit_precompute.schemas import DatasetWriter, captions_table
from tests.schemas.making import SOURCE, card

WIDTH = 24


def clusters(count, *, seed=0, spread=0.2, num_centres=40, width=WIDTH):
    """Returns float32 rows around a few centres, some of them equal: cosines of all sizes."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((num_centres, width))
    rows = centres[rng.integers(num_centres, size=count)] + spread * rng.standard_normal((count, width))
    rows *= rng.uniform(0.1, 10, (count, 1))  # norms differ; cosines do not see them
    rows[rng.integers(count, size=count // 10)] = rows[rng.integers(count, size=count // 10)]
    return rows.astype(np.float32)


def write_rows(path, vectors, *, tower=None, vector_type="float32", prefix="image", texts=None):
    """Writes a dataset of these embeddings."""
    keys = [f"{prefix}-{row:05d}" for row in range(len(vectors))]
    tower = tower or card(vectors.shape[1])
    with DatasetWriter(
        path, tower=tower, source=SOURCE, tables=[captions_table()], vector_type=vector_type, block_rows=16
    ) as writer:
        columns = {"captions": {"texts": texts or [[f"text of {key}"] for key in keys]}}
        writer.write(keys=keys, embeddings=vectors, columns=columns)
    return str(path)


def cosines(rows, others):
    """Returns all cosines as scikit-learn computes them in float64, rounded to 12 digits as they are compared."""
    return np.round(cosine_similarity(rows.astype(np.float64), others.astype(np.float64)), 12)


def first_kept(similar, removed):
    """Returns which rows stay, by the definition: one after another."""
    stays = ~removed
    for row in range(len(similar)):
        if stays[row]:
            stays[row] = not any(stays[other] and similar[row, other] for other in range(row))
    return stays
