import hashlib
import json
import pathlib
import pickle
import shutil

import pytest

from lit_precompute.precompute.sources.looking import LookedSource
from lit_precompute.precompute.sources.opening import recognise_source
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
from tests.precompute.sources.looked import look, num_rows, rows_of
from tests.precompute.sources.records.written import tf, write_array_record

GOLDEN = pathlib.Path(__file__).parents[3] / "golden" / "tfds"
DATASET = GOLDEN / "1.1.0"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text("utf-8"))
NAMED = SourceColumns(named=("tags=objects/tags", "parts=objects/parts"))


def _rows(looked: LookedSource, rows_per_unit: int = 2) -> list[dict]:
    """Returns the rows as tensorflow_datasets gave them; its identifier joins file and number by "__"."""
    return [
        {
            "id": row.key.replace("/", "__"),
            "image_sha256": hashlib.sha256(row.read_image()).hexdigest(),
            "label": row.label,
            "texts": list(row.texts),
            **{name: list(texts) for name, texts in row.named.items()},
        }
        for row in rows_of(looked, rows_per_unit)
    ]


def _edited(folder: pathlib.Path, **changes) -> pathlib.Path:
    """Returns a copy of the dataset with changes to its description, or to the first of its splits."""
    copy = folder / "copy"
    shutil.copytree(DATASET, copy)
    info = json.loads((copy / "dataset_info.json").read_text())
    info["splits"][0].update({name: changes.pop(name) for name in list(changes) if name in info["splits"][0]})
    (copy / "dataset_info.json").write_text(json.dumps({**info, **changes}))
    return copy


@pytest.mark.parametrize("split", ["train", "restval", "train+restval"])
def test_matches_tensorflow_datasets(split):
    looked = look(DATASET, split=split, columns=NAMED, rows_per_unit=2)
    assert _rows(looked) == [row for name in split.split("+") for row in EXPECTED[name]]
    assert looked.source.kind == "tfds"
    assert looked.source.options == {"split": split, "columns": NAMED.recorded()}
    assert len(pickle.dumps(looked.source)) < 3000


def test_array_records(tmp_path):
    """The same records in the other format; the file's name is that of tensorflow_datasets."""
    copy = _edited(tmp_path, fileFormat="array_record")
    for path in copy.glob("tiny-train.tfrecord*"):
        records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
        write_array_record(copy / path.name.replace("tfrecord", "array_record"), records)
    rows = _rows(look(copy, split="train", columns=NAMED, rows_per_unit=2))
    assert rows == [{**row, "id": row["id"].replace("tfrecord", "array_record")} for row in EXPECTED["train"]]


def test_counts_come_from_the_description(tmp_path):
    """No record is read: here there are none."""
    copy = _edited(tmp_path)
    for path in copy.glob("tiny-*"):
        path.write_bytes(b"")
    looked = look(copy, split="train")
    assert num_rows(looked) == 5
    hashes = [looked.source.look(file, 10).key_hashes for file in looked.files]
    assert sum(map(len, hashes)) == 5 * 8
    with pytest.raises(SourceError, match="had 2 records from number 0 on when the job was planned and has 0 now"):
        rows_of(looked)


def test_recognised_by_its_description():
    assert recognise_source(SourceSpec(str(DATASET), split="train")).name == "tfds"


def test_without_a_description_of_features_records_and_files_of_class_names_tell(tmp_path):
    copy = _edited(tmp_path)
    (copy / "features.json").unlink()
    rows = _rows(look(copy, split="train"))
    wanted = ("id", "image_sha256", "label", "texts")
    assert rows == [{name: row[name] for name in wanted} for row in EXPECTED["train"]]


def test_any_feature_may_be_a_text_and_classes_are_names():
    looked = look(DATASET, split="restval", columns=SourceColumns(text="label", label="image/filename"))
    rows = [(row.texts, row.label) for row in rows_of(looked)]
    assert rows == [((row["label"],), f"{number}.png") for row, number in zip(EXPECTED["restval"], (5, 6), strict=True)]


def test_label_minus_one_means_none(tmp_path):
    copy = _edited(tmp_path, shardLengths=["1"])
    record = next(iter(tf.data.TFRecordDataset(str(next(DATASET.glob("tiny-train*"))))))
    message = tf.train.Example.FromString(record.numpy())
    message.features.feature["label"].int64_list.value[0] = -1
    with tf.io.TFRecordWriter(str(copy / "tiny-train.tfrecord-00000-of-00001")) as writer:
        writer.write(message.SerializeToString())
    assert [row["label"] for row in _rows(look(copy, split="train"))] == [""]


@pytest.mark.parametrize(
    ("changes", "split", "message"),
    [
        ({}, None, r"the dataset has \['train', 'restval'\]; choose one, or several joined by \+, by --split"),
        ({}, "trian", r"--split must be one of \['train', 'restval'\].*, got 'trian'"),
        ({}, "train[:10%]", r"--split must be one of"),
        ({"fileFormat": "riegeli"}, "train", "tfrecord or array_record are read, these are 'riegeli'"),
        ({"splits": 3}, "train", "no description of a dataset as TFDS writes it"),
        ({"shardLengths": ["2", "x"]}, "train", "split 'train': shardLengths must be numbers"),
        (
            {"shardLengths": ["2", "3", "1"]},
            "train",
            r"tiny-train.tfrecord-00000-of-00003: no such file \(3 files of 3",
        ),
        ({"shardLengths": []}, "train", "no records in train"),
        ({"filepathTemplate": "../{SPLIT}-{SHARD_X_OF_Y}"}, "train", "its files must be in the folder"),
        ({"filepathTemplate": "{OTHER}"}, "train", "its files must be in the folder"),
    ],
)
def test_what_cannot_be_a_source_is_refused(tmp_path, changes, split, message):
    with pytest.raises(SourceError, match=message):
        look(_edited(tmp_path, **changes), split=split, format="tfds")


def test_a_wrong_count_in_the_description_is_an_error(tmp_path):
    with pytest.raises(SourceError, match=r"must have 4 records by dataset_info.json, has 2|has 2 now"):
        rows_of(look(_edited(tmp_path, shardLengths=["4", "3"]), split="train"))


def test_a_folder_above_names_the_datasets_below_it(tmp_path):
    (tmp_path / "tiny").mkdir()
    _edited(tmp_path / "tiny")
    with pytest.raises(
        SourceError, match=r"no dataset_info.json, so no dataset that TFDS prepared; there is one in .*/tiny/copy$"
    ):
        look(tmp_path, format="tfds", split="train")


def test_descriptions_that_are_not_json_are_refused(tmp_path):
    copy = _edited(tmp_path)
    (copy / "features.json").write_text("{")
    with pytest.raises(SourceError, match=r"features.json: not JSON"):
        look(copy, split="train")


def test_split_is_for_datasets_that_have_some(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(b"")
    with pytest.raises(SourceError, match="--split train is for TFDS folders"):
        look(tmp_path / "a.tfrecord", split="train")
