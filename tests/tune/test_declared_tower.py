"""Tuning and evaluating on an imported dataset: it works, says what is not known, and mixes with nothing else."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.model.tuned_model_files import TunedModelError
from lit_precompute.tuning import retrieval
from tests.precompute.exchange.making import imported
from tests.tune.small_runs import finish, start, write_dataset


def import_like(directory, dataset, *, tower):
    """Imports the rows of a dataset as a Parquet file of embeddings by a tower of this name."""
    with EmbeddingDataset.open(dataset) as original:
        rows = original.rows(0, original.num_rows)
        table = {"key": rows["key"], "embedding": list(rows.vectors().astype(np.float32)), "texts": rows["texts"]}
    directory.mkdir()
    pq.write_table(pa.table(table), directory / "a.parquet")
    imported("parquet", directory / "a.parquet", directory / "dataset", rows_per_shard=64, tower=tower)
    return directory / "dataset"


@pytest.mark.slow
def test_models_go_with_datasets_of_one_declaration(tmp_path):
    write_dataset(tmp_path / "verified")
    mine = import_like(tmp_path / "mine", tmp_path / "verified", tower="CLIP")
    again = import_like(tmp_path / "again", tmp_path / "verified", tower="CLIP")
    other = import_like(tmp_path / "other", tmp_path / "verified", tower="DINO")
    status, out, err = finish(start(mine, tmp_path / "run"))
    assert status == 0, err
    assert "the tower 'CLIP' is declared, not verified: its weights and preprocessing are not known" in out
    model = TunedModel.load(tmp_path / "run/model")
    with EmbeddingDataset.open(again) as dataset:
        assert retrieval(model, dataset).to_json()
    for path in (other, tmp_path / "verified"):
        with EmbeddingDataset.open(path) as dataset, pytest.raises(TunedModelError, match="declared, not verified"):
            retrieval(model, dataset)
