"""Datasets on disk as `datasets` 5.2.0 saves them; its own files gave the same rows when these tests were written."""

import json
import pathlib

import pyarrow as pa
import pytest

from lit_precompute.precompute.sources.source import SourceError
from tests.precompute.sources.columnar.reading import Found, images, look, read

_FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
    "text": {"dtype": "string", "_type": "Value"},
}


def _save(folder: pathlib.Path, split: str | None, shards: list[list[str]], **state) -> pathlib.Path:
    """Writes a dataset as `save_to_disk` does: streams, their names in state.json, the features in both."""
    folder.mkdir(parents=True)
    metadata = {"huggingface": json.dumps({"info": {"features": _FEATURES}})}
    names = [f"data-{number:05d}-of-{len(shards):05d}.arrow" for number in range(len(shards))]
    for name, texts in zip(names, shards, strict=True):
        labels = pa.array([number % 3 - 1 for number in range(len(texts))])
        table = pa.table({"image": images(len(texts)), "label": labels, "text": texts}).replace_schema_metadata(
            metadata
        )
        with pa.ipc.new_stream(str(folder / name), table.schema) as writer:
            writer.write_table(table, 1000)
    files = [{"filename": name} for name in names]
    about = {"_data_files": files, "_fingerprint": "585cccc4840a41bd", "_format_columns": None, "_format_kwargs": {}}
    about |= {"_format_type": None, "_output_all_columns": False, "_split": split, **state}
    (folder / "state.json").write_text(json.dumps(about, indent=2))
    (folder / "dataset_info.json").write_text(json.dumps({"description": "", "features": _FEATURES}))
    return folder


def test_a_dataset_on_disk_in_the_order_of_its_state(tmp_path):
    folder = _save(tmp_path / "saved", "train", [["a", "b"], ["c"]])
    state = json.loads((folder / "state.json").read_text())
    (folder / "cache-1234.arrow").write_bytes(b"left by map()")
    first, second = "data-00000-of-00002", "data-00001-of-00002"
    rows = [Found(f"{first}/0", b"image 0", ("a",), ""), Found(f"{first}/1", b"image 1", ("b",), "cat")]
    last = Found(f"{second}/0", b"image 0", ("c",), "")
    assert read(folder) == [*rows, last] == read(folder, split="train") == read(folder, format="huggingface")
    (folder / "state.json").write_text(json.dumps(state | {"_data_files": state["_data_files"][::-1]}))
    assert read(folder) == [last, *rows]
    with pytest.raises(SourceError, match="--split test was asked for, and this is the split 'train' alone"):
        look(folder, split="test")


def test_splits_are_chosen_by_name(tmp_path):
    for split in ("train", "test"):
        _save(tmp_path / f"all/{split}", split, [[split]])
    (tmp_path / "all/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert [(row.key, row.texts) for row in read(tmp_path / "all", split="test")] == [
        ("test/data-00000-of-00001/0", ("test",))
    ]
    assert [row.texts for row in read(tmp_path / "all", split="test+train")] == [("test",), ("train",)]
    with pytest.raises(SourceError, match=r"has the splits \['train', 'test'\]; name one with --split"):
        look(tmp_path / "all")
    with pytest.raises(SourceError, match=r"no split 'val', which --split names; there are \['train', 'test'\]"):
        look(tmp_path / "all", split="val")
    (tmp_path / "all/dataset_dict.json").write_text('{"splits": ["train"]}')
    assert [row.texts for row in read(tmp_path / "all")] == [("train",)]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"_indices_data_files": [{"filename": "indices.arrow"}]}, "rows are chosen by a file of indices"),
        ({"_data_files": [{"filename": "../../etc/passwd"}]}, "'_data_files' must list files by their names"),
        ({"_data_files": []}, "'_data_files' must list files by their names"),
        ({"_data_files": [{"filename": "b.arrow"}]}, "names b.arrow, which is not there"),
    ],
)
def test_states_that_cannot_be_read_are_errors(tmp_path, state, message):
    folder = _save(tmp_path / "saved", None, [["a"]], **state)
    with pytest.raises(SourceError, match=message):
        look(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", "[" * 100_000])
def test_damaged_json_is_an_error_with_its_path(tmp_path, text):
    folder = _save(tmp_path / "saved", None, [["a"]])
    (folder / "state.json").write_text(text, "latin-1")
    with pytest.raises(SourceError, match=r"saved/state\.json: (not JSON|must hold a JSON object)"):
        look(folder)


def test_a_cache_of_datasets_is_read_without_its_intermediate_steps(tmp_path):
    """`load_dataset` keeps `NAME-SPLIT.arrow` and the results of `map` in one folder."""
    _save(tmp_path / "made", None, [["a"]])
    (tmp_path / "cache").mkdir()
    (tmp_path / "made/data-00000-of-00001.arrow").rename(tmp_path / "cache/cifar10-train.arrow")
    (tmp_path / "cache/cache-0123.arrow").write_bytes(b"")
    assert [row.key for row in read(tmp_path / "cache")] == ["cifar10-train/0"]
    assert [row.key for row in read(tmp_path / "cache", split="train")] == ["cifar10-train/0"]
