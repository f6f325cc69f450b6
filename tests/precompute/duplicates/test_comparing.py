import numpy as np
import pytest

from lit_precompute.precompute.duplicates.comparing import Comparer, count_pairs
from lit_precompute.precompute.duplicates.findings import SlabFindings
from lit_precompute.precompute.duplicates.resolving import nearest_pairs, resolve
from lit_precompute.schemas import EmbeddingDataset
from tests.precompute.duplicates.making import clusters, cosines, first_kept, write_rows

ROWS, EVALUATION, OTHER = clusters(150), clusters(40, seed=1), clusters(20, seed=2)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    named = {"rows": ROWS, "evaluation": EVALUATION, "other": OTHER}
    return [EmbeddingDataset.open(write_rows(folder / name, rows)) for name, rows in named.items()]


def _resolved(datasets, threshold, *, within=True, slab_rows=64, **options):
    dataset, *others = datasets
    comparer = Comparer(dataset, others, threshold=threshold, within=within, slab_rows=slab_rows, **options)
    slabs = range(-(-dataset.num_rows // slab_rows))
    parts = [SlabFindings.from_bytes(comparer.compare(slab).to_bytes()) for slab in slabs]
    return comparer, resolve(dataset.num_rows, [other.num_rows for other in others], parts)


@pytest.mark.parametrize("threshold", [0.85, 0.95, 0.99, 1.0])
def test_counts_and_rows_match_scikit_learn(datasets, threshold):
    _, found = _resolved(datasets, threshold, tile_rows=16)
    removed = np.zeros(len(ROWS), bool)
    for counts, other in zip(found.against, (EVALUATION, OTHER), strict=True):
        similar = cosines(ROWS, other) >= threshold
        assert (counts.removed, counts.matched) == (similar.any(axis=1).sum(), similar.any(axis=0).sum())
        removed |= similar.any(axis=1)
    stays = first_kept(cosines(ROWS, ROWS) >= threshold, removed)
    np.testing.assert_array_equal(found.stays, stays)
    assert found.removed_against == removed.sum()
    assert found.within.removed == len(ROWS) - stays.sum() - removed.sum() > 0


def test_neither_slabs_nor_tiles_nor_memory_change_what_is_found(datasets):
    expected = _resolved(datasets, 0.95, slab_rows=150)[1]
    for options in ({"slab_rows": 50}, {"slab_rows": 64, "tile_rows": 7}, {"slab_rows": 64, "memory_bytes": 0}):
        found = _resolved(datasets, 0.95, **options)[1]
        np.testing.assert_array_equal(found.stays, expected.stays)
        assert found.within.num_groups == expected.within.num_groups
        assert [each.matched for each in found.against] == [each.matched for each in expected.against]
        for each, other in zip((*found.against, found.within), (*expected.against, expected.within), strict=True):
            np.testing.assert_array_equal(each.nearest.samples, other.nearest.samples)


def test_a_chain_keeps_what_no_row_that_stays_is_similar_to(tmp_path):
    """Each is similar to the next alone: of four the first and the third stay. The copy of the second goes with it."""
    angles = np.arange(4) * 0.2
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)[[0, 1, 1, 2, 3]]
    with EmbeddingDataset.open(write_rows(tmp_path / "rows", rows)) as dataset:
        _, found = _resolved([dataset], float(np.cos(0.25)))
    assert found.stays.tolist() == [True, False, False, True, False]
    assert found.within.num_groups == 2


def test_a_row_that_an_evaluation_dataset_removes_removes_nothing(tmp_path):
    angles = np.array([0, 0.2, 0.4])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    with (
        EmbeddingDataset.open(write_rows(tmp_path / "rows", rows)) as dataset,
        EmbeddingDataset.open(write_rows(tmp_path / "evaluation", rows[:1])) as other,
    ):
        _, found = _resolved([dataset, other], float(np.cos(0.1)))
        assert found.stays.tolist() == [False, True, True]
        _, found = _resolved([dataset, other], float(np.cos(0.25)))
    assert found.stays.tolist() == [False, False, True]
    assert found.within.removed == 0


def test_copies_are_few_pairs_even_where_all_rows_are_equal(tmp_path):
    rows = np.repeat(clusters(1), 300, axis=0)
    with EmbeddingDataset.open(write_rows(tmp_path / "rows", rows)) as dataset:
        comparer = Comparer(dataset, [], threshold=0.9, within=True, slab_rows=100)
        parts = [comparer.compare(slab) for slab in range(3)]
    assert max(len(part.within.rows) for part in parts) <= 200
    found = resolve(300, [], parts)
    assert (found.stays.sum(), found.within.num_groups) == (1, 1)


def test_rows_of_zeros_stay_and_are_counted(tmp_path):
    rows = np.concatenate([np.zeros((3, 4)), np.eye(4)]).astype(np.float32)
    with EmbeddingDataset.open(write_rows(tmp_path / "rows", rows)) as dataset:
        _, found = _resolved([dataset], 0.5)
    assert found.stays.all()
    assert found.num_zeros == 3


def test_histogram_counts_nearest_cosines(datasets):
    _, found = _resolved(datasets, 0.95)
    nearest = cosines(ROWS, EVALUATION).max(axis=1)
    expected, _ = np.histogram(np.clip(nearest, -1, 0.999), bins=np.linspace(-1, 1, 201))
    assert np.abs(found.against[0].nearest.histogram - expected).sum() <= 2  # two that are at a bin's border
    assert found.against[0].nearest.histogram.sum() == len(ROWS)


def test_pairs_to_look_at_are_rows_with_their_nearest_row(datasets):
    comparer, found = _resolved(datasets, 0.95)
    rows = found.within.nearest.samples
    for pair in nearest_pairs(comparer, rows, None):
        own = cosines(ROWS[[pair.row]], ROWS[: pair.row])[0]
        assert pair.other == np.round(own, 12).argmax()
        assert pair.cosine == pytest.approx(own.max(), abs=1e-12)
    for pair in nearest_pairs(comparer, rows, 1):
        assert pair.other == cosines(ROWS[[pair.row]], OTHER)[0].argmax()


def test_progress_adds_up_to_all_pairs(datasets):
    told = []
    comparer = Comparer(datasets[0], datasets[1:], threshold=0.9, within=True, slab_rows=64, tile_rows=10)
    for slab in range(3):
        comparer.compare(slab, told.append)
    assert sum(told) == sum(count_pairs(150, 60, slab_rows=64, within=True)) == 150 * 60 + 150 * 149 // 2
