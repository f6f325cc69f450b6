"""What a tower has embedded of a source already is found in a catalog, before any work."""

import dataclasses
import json
import shutil

import pytest

from lit_precompute.pipelines.embed.known_datasets import find_known
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.sharing.copying import copy_dataset
from lit_precompute.schemas.sharing.part import Part
from tests.pipelines.embed.making import arguments, run, tiny_options
from tests.towers.tiny_tower import SIZE


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """Options of a job that has embedded 20 rows to shared/first of a folder."""
    folder = tmp_path_factory.mktemp("job")
    options = dataclasses.replace(tiny_options(folder), output=str(folder / "shared/first"), limit=20)
    Launch(options).run()
    return options


@pytest.fixture
def catalog(embedded, tmp_path):
    """A catalog with a copy of the dataset, and the same options with another output."""
    copy_dataset(embedded.output, tmp_path / "shared/first")
    (tmp_path / "shared/broken").mkdir()
    (tmp_path / "shared/broken/manifest.json").write_text("{}")
    return str(tmp_path / "shared"), dataclasses.replace(embedded, output=str(tmp_path / "new"))


def known(catalog, options, **changes):
    return [each.entry.path for each in find_known(catalog, [dataclasses.replace(options, **changes)])[1]]


def test_the_same_tower_and_source_are_known(catalog):
    place, options = catalog
    found, (only,) = find_known(place, [options])
    assert [entry.state for entry in found.entries] == ["unreadable", "complete"]
    assert not only.by_fingerprint
    assert only.in_words().startswith(f"{place}/first has test-tiny of ")
    assert "rows, float16, limit 20, fingerprint " in only.in_words()
    assert only.in_words().endswith(", the weights were not compared)")
    assert known(place, options, limit=7) == [f"{place}/first"]


def test_another_tower_another_source_and_more_rows_are_not(catalog, tmp_path):
    place, options = catalog
    assert known(place, options, tower=dataclasses.replace(options.tower, resolution=SIZE * 2)) == []
    assert known(place, options, tower=dataclasses.replace(options.tower, compute_type="bfloat16")) == []
    assert known(place, options, limit=None) == []
    table = tmp_path / "other.tsv"
    table.write_text("path\ttext\tlabel\na.png\ta text\teven\n")
    assert known(place, options, source=SourceSpec(str(table))) == []


def test_a_source_that_was_moved_is_known(catalog, tmp_path):
    place, options = catalog
    moved = tmp_path / "moved.tsv"
    shutil.copyfile(options.source.path, moved)
    assert known(place, options, source=SourceSpec(str(moved))) == [f"{place}/first"]


def test_parts_and_the_output_itself_are_not(catalog, tmp_path):
    place, options = catalog
    assert known(place, options, output=f"{place}/first") == []
    copy_dataset(f"{place}/first", tmp_path / "parts/p", Part(max_rows=3))
    assert known(str(tmp_path / "parts"), options) == []


def test_the_fingerprint_decides_where_the_output_knows_it(catalog, tmp_path):
    place, options = catalog
    note = {"source": {"kind": "table", "path": "x", "options": {}}, "options": {}, "plan": {}}
    (tmp_path / "new/_work").mkdir(parents=True)
    (tmp_path / "new/_work/job.json").write_text(json.dumps(note))
    card = find_known(place, [options])[1][0].entry.cards["embeddings"]
    for fingerprint, expected in ((card.fingerprint, [True]), ("0" * 64, [])):
        (tmp_path / "new/_work/tower.json").write_text(json.dumps(card.model_dump() | {"fingerprint": fingerprint}))
        assert [each.by_fingerprint for each in find_known(place, [options])[1]] == expected


def test_lit_embed_run_stops_unless_told_to_go_on(catalog, monkeypatch, capsys, tmp_path):
    place, options = catalog
    command = arguments(options.source.path, tmp_path / "out", options.tower.weights, catalog=place, limit=20)
    assert run(monkeypatch, *command) == 2
    said = capsys.readouterr().err
    assert f"error: catalog {place}: {place}/first has test-tiny of " in said
    assert "use it, or give --embed-again (2 datasets in 3 folders (1 unreadable))" in said
    assert not (tmp_path / "out").exists()
    assert run(monkeypatch, *command, "--embed-again") == 0
    assert "embedding again (2 datasets in 3 folders (1 unreadable))" in capsys.readouterr().out
    assert (tmp_path / "out/manifest.json").exists()
    (tmp_path / "empty").mkdir()
    command = arguments(
        options.source.path, tmp_path / "out", options.tower.weights, catalog=tmp_path / "empty", limit=20
    )
    assert run(monkeypatch, *command) == 0
    assert f"catalog {tmp_path}/empty: 0 datasets in 1 folder; none is of test-tiny and " in capsys.readouterr().out


def test_a_catalog_that_is_not_there_is_called_so(catalog):
    _, options = catalog
    with pytest.raises(ValueError, match=r"^--catalog nope: .*nope: No such file or directory$"):
        find_known("nope", [options])
