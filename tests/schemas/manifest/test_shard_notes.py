"""Notes about rows of single shards, in the list of shards."""

import pyarrow as pa
import pytest

from lit_precompute.schemas import DatasetError, Manifest, Note, publish_manifest
from tests.schemas.making import change_list, write

WORDS = "text is not a string"


def _publish(path, notes):
    """Publishes a dataset of three shards again, with these notes by shard, and one about no row."""
    manifest = write(path, 50)
    return publish_manifest(
        path,
        shards=[shard.model_copy(update={"notes": notes.get(shard.shard, [])}) for shard in manifest.shards],
        tables=manifest.tables,
        towers=manifest.towers,
        source=manifest.source.info(),
        probes=manifest.probes,
        notes=[Note(what="hidden file", count=9, first="a.tar")],
        block_rows=manifest.block_rows,
    )


def _note(count, first):
    return Note(what=WORDS, count=count, first=first)


def test_notes_of_shards_are_kept_and_added_up(tmp_path):
    notes = {0: [_note(2, "k3"), Note(what="no text", count=1, first="k9")], 2: [_note(3, "k41")]}
    manifest = _publish(tmp_path, notes)
    assert [(note.what, note.count, note.first) for note in manifest.notes] == [
        ("hidden file", 9, "a.tar"),
        (WORDS, 5, "k3"),
        ("no text", 1, "k9"),
    ]
    shards = Manifest.read(tmp_path).shards
    assert {shard: list(own) for shard, own in shards.notes.items()} == notes
    assert [shard.notes for shard in shards] == [notes[0], [], notes[2]]


def test_a_list_without_notes_has_no_column_for_them(tmp_path):
    _publish(tmp_path, {})
    (path,) = tmp_path.glob("shards-*.arrow")
    with pa.ipc.open_stream(path.read_bytes()) as stream:
        assert "notes" not in stream.schema.names


def test_a_note_that_breaks_a_rule_is_named_with_its_shard(tmp_path):
    _publish(tmp_path, {1: [_note(1, "k")]})
    change_list(tmp_path, "shards", lambda columns: columns["notes"][1][0].update(count=0))
    with pytest.raises(DatasetError, match=r"shard 1: notes\.count: .* greater than or equal to 1"):
        Manifest.read(tmp_path)
