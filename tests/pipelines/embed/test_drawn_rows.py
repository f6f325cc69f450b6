"""`--limit N --limit-seed S`: rows that are drawn over the whole source."""

import dataclasses

import numpy as np
import pytest

from lit_precompute.pipelines.embed.embedding_again import embed_again
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.schemas import EmbeddingDataset, Manifest
from lit_precompute.schemas.sharing.wrong_files import find_wrong_files
from lit_precompute.schemas.storage import open_folder
from tests.pipelines.embed.making import tiny_options


def _rows(output):
    with EmbeddingDataset.open(output) as dataset:
        rows = dataset.rows(0, dataset.num_rows)
        return dict(zip(rows["key"].to_pylist(), rows.vectors(), strict=True))


@pytest.fixture
def drawn(tmp_path):
    """Returns options of 12 of 45 rows, in runs of 3."""
    return dataclasses.replace(tiny_options(tmp_path), limit=12, limit_seed=1, rows_per_shard=3)


def test_drawn_rows_have_the_embeddings_that_a_whole_job_gives_them(tmp_path, drawn):
    manifest = Launch(drawn).run()
    assert manifest.num_rows + manifest.num_failures == 12
    assert manifest.job["limit_seed"] == 1
    whole = dataclasses.replace(drawn, output=str(tmp_path / "whole"), limit=None, limit_seed=None)
    Launch(whole).run()
    found, expected = _rows(drawn.output), _rows(whole.output)
    assert [*found] != [*expected][: len(found)]
    assert [*found] == [key for key in expected if key in found]  # the source's order
    assert all(np.array_equal(vector, expected[key]) for key, vector in found.items())


def test_another_seed_is_another_job(drawn):
    Launch(drawn).run()
    assert Launch(drawn).is_finished
    with pytest.raises(ValueError, match="--limit-seed is 1 there, 2 was requested"):
        Launch(dataclasses.replace(drawn, limit_seed=2))


def test_a_damaged_shard_of_drawn_rows_is_embedded_again(tmp_path, drawn):
    Launch(drawn).run()
    (path,) = (tmp_path / "out/embeddings").glob("*00001*")
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    wrong = list(find_wrong_files(open_folder(drawn.output), Manifest.read(drawn.output), 1))
    assert len(wrong) == 1
    assert embed_again(drawn.output, wrong, weights=drawn.tower.weights) == {}
    assert path.read_bytes() == good
