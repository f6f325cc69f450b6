"""A source with additional tables, which the job writes without knowing them."""

import dataclasses

import pytest

from lit_precompute.embedding import embed
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning import found_source
from lit_precompute.precompute.sources.source import Source
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import ColumnSchema, EmbeddingDataset, TableSchema
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.towers.options import ImageTowerOptions
from tests.pipelines.embed.making import write_source
from tests.schemas.making import TAGS
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]
PLACES = TableSchema(
    name="places",
    columns=[
        ColumnSchema(name="key", type="string"),
        ColumnSchema(name="place", type="vector", width=2, vector_type="float32"),
    ],
)


@dataclasses.dataclass(frozen=True)
class TaggedSource:
    """A source with two additional tables."""

    inner: Source

    def __getattr__(self, name):
        if name.startswith("__") or name == "inner":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.inner, name)

    def survey(self, looks):
        survey = self.inner.survey(looks)
        return dataclasses.replace(survey, tables=(*survey.tables, TAGS, PLACES))

    def read(self, part, tables):
        assert [table.name for table in tables] == ["captions", "labels", "tags", "places"]
        for example in self.inner.read(part, tables[:2]):
            row = int(example.key.removesuffix(".png"))
            more = {"tags": {"tags": [example.key, "row"]}, "places": {"place": [row, -row]}}
            yield dataclasses.replace(example, more=more)


def test_a_sources_additional_tables_are_written_beside_captions_and_labels(tmp_path, monkeypatch):
    table = write_source(tmp_path / "source", 20, bad=False)
    (table.parent / "004.png").write_bytes(b"")  # a failed row is in none of the tables
    register_tiny_tower()
    tower = ImageTowerOptions(name=NAME, weights=write_weights(tmp_path / "weights.npz"))
    options = EmbedOptions(
        source=SourceSpec(str(table)), tower=tower, output=str(tmp_path / "out"), batch_size=4, rows_per_shard=8
    )
    make_source = found_source.make_source
    monkeypatch.setattr(found_source, "make_source", lambda spec, **how: TaggedSource(make_source(spec, **how)))
    embed(options)
    assert verify(options.output) == []
    with EmbeddingDataset.open(options.output) as dataset:
        assert dataset.tables == ["embeddings", "captions", "labels", "tags", "places"]
        rows = [row for row in range(20) if row != 4]
        assert dataset.rows(0, 19)["tags"].to_pylist() == [[f"{row:03d}.png", "row"] for row in rows]
        assert dataset.rows(0, 19)["place"].tolist() == [[row, -row] for row in rows]
        assert dataset.row(4)["texts"] == ["text of 005.png"]
