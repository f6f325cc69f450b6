"""Comparing datasets: rows are paired by key; figures agree with scikit-learn; verdicts and what explains them."""

import numpy as np
import pytest
import sklearn.metrics.pairwise

from lit_precompute.schemas import DatasetWriter, EmbeddingDataset
from lit_precompute.schemas.sharing.comparing import compare_datasets
from tests.schemas.making import SOURCE, card, rows

KEYS, VECTORS, _, _ = rows(200)


def write_embeddings(directory, keys=KEYS, vectors=VECTORS, **options):
    """Writes embeddings alone, 20 rows in a shard."""
    options = {"tower": card(vectors.shape[1]), "vector_type": "float32", "rows_per_shard": 20} | options
    with DatasetWriter(directory, source=SOURCE, block_rows=8, **options) as writer:
        writer.write(keys=keys, embeddings=vectors)
    return directory


def _compare(one, other, **options):
    with EmbeddingDataset.open(one) as ours, EmbeddingDataset.open(other) as theirs:
        return compare_datasets(ours, theirs, **options)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_embeddings(tmp_path_factory.mktemp("base"))


def test_a_dataset_is_equal_to_itself(base):
    found = _compare(base, base)
    assert (found.verdict, found.num_common, found.is_same_dataset, found.is_same_table) == ("equal", 200, True, True)
    assert found.differences == {}


def test_rows_are_paired_by_key_in_any_order(base, tmp_path):
    order = np.random.default_rng(1).permutation(200)[:150]
    other = write_embeddings(tmp_path / "other", [KEYS[row] for row in order] + ["more"], VECTORS[[*order, 0]])
    found = _compare(base, other)
    assert (found.verdict, found.num_rows, found.num_common) == ("equal", (200, 151), 150)
    assert not found.is_same_table
    assert found.similarity.num_rows == 150


def test_figures_agree_with_scikit_learn(base, tmp_path):
    noisy = VECTORS + 0.3 * np.random.default_rng(2).standard_normal(VECTORS.shape).astype(np.float32)
    found = _compare(base, write_embeddings(tmp_path / "other", vectors=2 * noisy)).similarity
    every = sklearn.metrics.pairwise.cosine_similarity(VECTORS.astype(np.float64), noisy.astype(np.float64))
    same = np.diag(every)
    assert found.mean_cosine == pytest.approx(same.mean(), abs=1e-12)
    assert found.least_cosine == pytest.approx(same.min(), abs=1e-12)
    assert found.least_key == KEYS[same.argmin()]
    assert found.unrelated_cosine == pytest.approx(np.roll(every, -100, axis=1).diagonal().mean(), abs=1e-12)
    lengths = [np.linalg.norm(vectors.astype(np.float64), axis=1).mean() for vectors in (2 * noisy, VECTORS)]
    assert found.norm_ratio == pytest.approx(lengths[0] / lengths[1])


@pytest.mark.parametrize("vector_type", ["float16", "bfloat16", "int8"])
def test_stored_types_are_interchangeable(base, tmp_path, vector_type):
    wide = rows(200, width=64)[1]  # int8 needs more numbers than 6 to be as good as its figures
    one, other = (
        write_embeddings(tmp_path / "one", vectors=wide),
        write_embeddings(tmp_path / "other", vectors=wide, vector_type=vector_type),
    )
    found = _compare(one, other)
    assert (found.verdict, found.similarity.num_equal) == ("interchangeable", 0)


def test_one_shifted_row_is_different(base, tmp_path):
    """As where a shard is missing and later rows take the places of earlier ones."""
    found = _compare(base, write_embeddings(tmp_path / "other", vectors=np.roll(VECTORS, 1, axis=0)))
    assert found.verdict == "different"
    assert found.similarity.mean_cosine == pytest.approx(found.similarity.unrelated_cosine, abs=0.2)


def test_without_common_keys_or_of_other_widths_there_is_no_cosine(base, tmp_path):
    found = _compare(base, write_embeddings(tmp_path / "other", [f"other/{key}" for key in KEYS]))
    assert (found.verdict, found.num_common, found.similarity) == ("not comparable", 0, None)
    found = _compare(base, write_embeddings(tmp_path / "wide", vectors=rows(200, width=8)[1]))
    assert (found.verdict, found.num_common, found.similarity) == ("not comparable", 200, None)


def test_embeddings_of_zeros_and_a_single_row(tmp_path):
    one = write_embeddings(tmp_path / "one", KEYS[:1], np.zeros((1, 6), np.float32))
    found = _compare(one, write_embeddings(tmp_path / "other", KEYS[:1], VECTORS[:1]))
    assert (found.verdict, found.similarity.unrelated_cosine) == ("different", None)
    assert _compare(one, one).verdict == "equal"


def test_cards_are_compared_by_what_differs(base, tmp_path):
    other = card(fingerprint="e" * 64).model_copy(update={"preprocessing": {"size": 9}})
    found = _compare(base, write_embeddings(tmp_path / "other", tower=other))
    assert found.verdict == "equal"
    assert found.fingerprints == ("f" * 64, "e" * 64)
    assert found.differences == {"size": (8, 9)}


def test_runs_of_rows_are_spread_over_the_first_dataset(base, tmp_path):
    vectors = VECTORS.copy()
    vectors[150:] += 1
    other = write_embeddings(tmp_path / "other", vectors=vectors)
    found = _compare(base, other, max_rows=100)
    assert 64 <= found.similarity.num_rows <= 100
    # A quarter of the rows were changed, wherever they are.
    assert found.similarity.num_equal == pytest.approx(0.75 * found.similarity.num_rows, abs=2)


def test_progress_ends_with_all_blocks(base):
    seen = []
    _compare(base, base, report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (60, 60)
