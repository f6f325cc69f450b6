"""Finding rows: all criteria hold, no block is read in vain, scores and samples are of what is left."""

import numpy as np
import pyarrow as pa
import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset
from lit_precompute.schemas.sharing.selecting.criteria import Labels, OfSelections, RowRange
from lit_precompute.schemas.sharing.selecting.finding import Sample, Scored, find_rows
from lit_precompute.schemas.sharing.selecting.keys import Keys
from lit_precompute.schemas.sharing.selecting.options import Criteria, make_criteria
from lit_precompute.schemas.sharing.selecting.texts import TextLength, TextPattern
from lit_precompute.schemas.sharing.selection import Selection
from tests.schemas.making import rows, write

NUM_ROWS = 50
KEYS, VECTORS, TEXTS, LABELS = rows(NUM_ROWS)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("dataset")
    write(path, NUM_ROWS)
    return path


@pytest.fixture
def dataset(path):
    with EmbeddingDataset.open(path) as dataset:
        yield dataset


@pytest.fixture
def reads(monkeypatch):
    """Which blocks are read, each with its columns."""
    found = []
    read_block = EmbeddingDataset.read_block

    def note(self, block, columns=None):
        found.append((block, tuple(columns)))
        return read_block(self, block, columns)

    monkeypatch.setattr(EmbeddingDataset, "read_block", note)
    return found


def _rows(found):
    return found.selection.rows(0, NUM_ROWS).tolist()


def _by_first_number(dataset, least=None, best_share=None):
    """Scores rows by the first number of their embedding; those without a text have no score."""

    def score(rows):
        without = np.array([not texts for texts in rows["texts"].to_pylist()])
        return np.where(without, np.nan, rows.vectors()[:, 0].astype(np.float64))

    return Scored(
        name="number",
        columns=("embedding", "texts"),
        score=score,
        least=least,
        best_share=best_share,
        made_by={"of": "first"},
    )


def test_all_criteria_hold(dataset):
    criteria = [
        TextPattern("1", "texts"),
        Labels(["1", "3"]),
        RowRange(4, 45),
        TextLength("characters", 11, 11, "texts"),
    ]
    found = find_rows(dataset, criteria)
    expected = [
        row
        for row in range(4, 45)
        if LABELS[row] in "13"
        and any("1" in text for text in TEXTS[row])
        and any(len(text) == 11 for text in TEXTS[row])
    ]
    assert _rows(found) == expected and len(expected) > 5
    assert list(found.num_left) == ["rows", "pattern", "label", "characters"]
    assert list(found.num_left.values()) == sorted(found.num_left.values(), reverse=True)
    assert found.num_left["rows"] == 41 and found.num_left["characters"] == len(expected)
    assert found.selection.made_by["criteria"]["rows"] == {"start": 4, "stop": 45}
    found.selection.check(dataset.manifest)


def test_reads_only_blocks_in_which_a_row_can_match(dataset, reads):
    find_rows(dataset, [RowRange(9, 30), Labels(["1"])])
    assert {block for block, _ in reads} == {1, 2, 3, 4}  # of 8, 8 and 4 rows a shard
    assert {columns for _, columns in reads} == {("label",)}
    reads.clear()
    selection = Selection.of_rows(dataset.manifest, np.array([0, 49]), made_by={})
    scored = _by_first_number(dataset, least=-9)
    find_rows(dataset, [OfSelections("all-of", {"two": selection}), Labels(["0"])], scored=scored)
    assert reads == [(0, ("label",)), (0, ("embedding", "texts")), (dataset.num_blocks - 1, ("label",))]
    reads.clear()
    find_rows(dataset, [OfSelections("none-of", {"two": selection})])
    assert reads == []


def test_keys_that_other_criteria_leave_out_are_not_missing(dataset):
    keys = Keys("keys.txt", [pa.array(["image-0003", "image-0047"])])
    found = find_rows(dataset, [RowRange(0, 10), keys])
    assert _rows(found) == [3]
    assert dict(found.num_left) == {"keys": 2, "rows": 1}
    with pytest.raises(DatasetError, match="keys that no row has, 1 of 1: 'no'"):
        find_rows(dataset, [Keys("keys.txt", [pa.array(["no"])])])


@pytest.mark.parametrize("least", [None, 0.0])
@pytest.mark.parametrize("best_share", [None, 0.25, 1.0])
def test_scores_are_of_the_rows_that_are_left(dataset, least, best_share):
    found = find_rows(dataset, [RowRange(5, 45)], scored=_by_first_number(dataset, least, best_share))
    stored = VECTORS.astype(np.float16)[:, 0].astype(np.float64)
    with_score = [row for row in range(5, 45) if TEXTS[row] and stored[row] >= (-9 if least is None else least)]
    best = sorted(with_score, key=lambda row: -stored[row])
    expected = sorted(best if best_share is None else best[: int(best_share * len(best))])
    assert _rows(found) == expected and len(expected) >= 3
    assert found.num_left["number"] == len(with_score)
    if best_share is not None:
        assert found.notes == [f"the least number that is kept is {min(stored[expected]):.6f}"]


def test_a_sample_is_drawn_last(dataset):
    scored = _by_first_number(dataset, best_share=0.5)
    best = _rows(find_rows(dataset, [Labels(["1"])], scored=scored))
    found = find_rows(dataset, [Labels(["1"])], scored=scored, sample=Sample(count=3, seed=1))
    assert len(_rows(found)) == 3 and {*_rows(found)} <= {*best}
    assert list(found.num_left) == ["label", "number", "best-share of number", "random"]
    again = find_rows(dataset, [Labels(["1"])], scored=scored, sample=Sample(count=3, seed=1))
    assert again.selection.digest == found.selection.digest


def test_progress_ends_with_all_rows(dataset):
    seen = []
    find_rows(dataset, [Labels(["1"])], report=lambda done, total: seen.append((done, total)))
    assert seen[0] == (8, NUM_ROWS) and seen[-1] == (NUM_ROWS, NUM_ROWS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_missing": "-1"}, "max_missing must be a count like 100 or a share like 0.5%, got '-1'"),
        ({"random": 0}, "random must be >= 1, got 0"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
        ({"model": "m", "best_share": 0.0}, r"best_share must be in \(0, 1\], got 0.0"),
        ({"model": "m", "min_similarity": 2.0}, r"min_similarity must be a cosine, in \[-1, 1\], got 2.0"),
        ({"model": "m"}, "similarity takes a model, and min_similarity or best_share or both"),
        ({"best_share": 0.5}, "similarity takes a model, and min_similarity or best_share or both"),
        ({}, "nothing to select by"),
    ],
)
def test_refuses_options_that_say_nothing(options, words):
    with pytest.raises(ValueError, match=words):
        make_criteria(Criteria(**options))
