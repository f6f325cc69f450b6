"""Files of a dataset are mended from whatever dataset has them; nothing else is changed."""

import json
import pathlib
import shutil

import pytest

from lit_precompute.schemas import DatasetError, DatasetWriter, Manifest
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.sharing.copying import copy_dataset
from lit_precompute.schemas.sharing.part import Part
from lit_precompute.schemas.sharing.repairing import Copies, mend, mend_manifest
from lit_precompute.schemas.sharing.wrong_files import find_wrong_files
from lit_precompute.schemas.storage import open_folder
from tests.schemas.making import SOURCE, card, files_of, write

FIRST, SECOND = "captions/part-00000.arrayrecord", "captions/part-00001.arrayrecord"


def repair(path, *copies):
    """Mends what it can; returns the names of the wrong files, and what is left."""
    folder, known = open_folder(str(path)), Copies([str(copy) for copy in copies])
    mend_manifest(folder, known)
    wrong = find_wrong_files(folder, Manifest.read(folder), 2)
    left = mend(folder, wrong, known, 2)
    return [file.name for file in wrong], list(left.values())


@pytest.fixture(params=["disk", "memory", "gs", "s3"])
def dataset(request, tmp_path):
    """A dataset of 50 rows in 3 shards, somewhere, and a sound copy on disk."""
    write(tmp_path / "sound")
    place = {"disk": str(tmp_path / "place"), "memory": f"memory:/{tmp_path}"}.get(request.param)
    place = place or request.getfixturevalue("gcs_bucket" if request.param == "gs" else "s3_bucket")
    copy_dataset(tmp_path / "sound", f"{place}/d")
    return f"{place}/d", tmp_path / "sound"


def _content(path):
    folder = open_folder(path)
    return {name: folder.read(name) for name in folder.find()}


def test_missing_truncated_flipped_and_swapped_files_are_mended(dataset):
    path, sound = dataset
    folder, files = open_folder(path), files_of(sound)
    (source,) = (name for name in files if name.startswith("source-"))
    (failures,) = (name for name in files if name.startswith("failures/"))
    label = "labels/part-00002.arrayrecord"
    folder.write(FIRST, files[SECOND])
    folder.write(SECOND, files[FIRST])
    folder.remove(label)
    folder.write(failures, files[failures][:-1])
    folder.write(source, bytes([files[source][0] ^ 4]) + files[source][1:])
    names, left = repair(path, sound)
    assert sorted(names) == sorted([FIRST, SECOND, label, failures, source])
    assert left == []
    assert _content(path) == files
    assert repair(path, sound) == ([], [])


def test_nothing_but_the_files_remains(tmp_path):
    write(tmp_path / "sound")
    shutil.copytree(tmp_path / "sound", tmp_path / "d")
    (tmp_path / "d" / FIRST).unlink()
    repair(tmp_path / "d", tmp_path / "sound")
    assert {path.name for path in (tmp_path / "d").iterdir()} == {path.name for path in (tmp_path / "sound").iterdir()}


def test_parts_and_other_datasets_have_the_files_too(tmp_path):
    write(tmp_path / "d")
    files = files_of(tmp_path / "d")
    copy_dataset(tmp_path / "d", tmp_path / "part", Part.parse(tables="captions", shards="1"))
    for name in (FIRST, SECOND):
        (tmp_path / "d" / name).unlink()
    names, left = repair(tmp_path / "d", tmp_path / "part")  # where it is shard 0
    assert names == [FIRST, SECOND]
    assert left == [f"{tmp_path}/d/{FIRST}: no copy has this file"]
    assert (tmp_path / "d" / SECOND).read_bytes() == files[SECOND]


def test_a_copy_that_is_damaged_itself_is_passed_over(tmp_path):
    write(tmp_path / "d")
    for name in ("one", "two"):
        shutil.copytree(tmp_path / "d", tmp_path / name)
    files = files_of(tmp_path / "d")
    (tmp_path / "d" / FIRST).unlink()
    (tmp_path / "one" / FIRST).write_bytes(files[SECOND])
    (left,) = repair(tmp_path / "d", tmp_path / "one")[1]
    assert left.startswith(f"{tmp_path}/one/{FIRST}: SHA-256 must be ")
    assert not (tmp_path / "d" / FIRST).exists()
    assert repair(tmp_path / "d", tmp_path / "one", tmp_path / "two")[1] == []
    assert files_of(tmp_path / "d") == files


@pytest.mark.parametrize("damage", ["missing", "cut", "edited"])
@pytest.mark.parametrize("name", ["manifest.json", "shards-", "source-"])
def test_a_manifest_and_its_lists_are_mended_from_a_whole_copy(tmp_path, name, damage):
    write(tmp_path / "d")
    files = files_of(tmp_path / "d")
    shutil.copytree(tmp_path / "d", tmp_path / "sound")
    write(tmp_path / "other", 30)
    (path,) = (path for path in (tmp_path / "d").iterdir() if path.name.startswith(name))
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-7])
    elif name == "manifest.json":
        path.write_text(json.dumps(json.loads(path.read_text()) | {"order": "shuffled"}))
    else:
        path.write_bytes(bytes(path.stat().st_size))
    try:
        assert repair(tmp_path / "d", tmp_path / "other")[1] == []  # both have the same source
        assert name == "source-"
    except DatasetError:
        assert name != "source-"
    assert repair(tmp_path / "d", tmp_path / "other", tmp_path / "sound") == ([], [])
    assert files_of(tmp_path / "d") == files


def test_files_of_earlier_versions_are_mended(tmp_path):
    golden = pathlib.Path("tests/golden/dataset_v1/float16")
    shutil.copytree(golden, tmp_path / "d")
    name = "captions/part-00001-of-00002.arrayrecord"
    assert (tmp_path / "d" / name).exists()
    (tmp_path / "d" / name).unlink()
    assert repair(tmp_path / "d", golden) == ([name], [])
    assert files_of(tmp_path / "d") == files_of(golden)


def test_attachments_are_mended(tmp_path):
    with DatasetWriter(tmp_path / "d", tower=card(), source=SOURCE) as writer:
        writer.write(keys=["a"], embeddings=[[1.0] * 6], columns={})
        writer.attach("classes.txt", b"dog\n")
    shutil.copytree(tmp_path / "d", tmp_path / "sound")
    (tmp_path / "d/attachments/classes.txt").write_bytes(b"cat\n")
    assert repair(tmp_path / "d", tmp_path / "sound") == (["attachments/classes.txt"], [])
    assert verify(tmp_path / "d") == []


def test_a_job_that_embeds_failed_rows_again_keeps_its_folder(tmp_path):
    write(tmp_path / "d")
    shutil.copytree(tmp_path / "d", tmp_path / "sound")
    (tmp_path / "d/_work/shards").mkdir(parents=True)
    (tmp_path / "d/_work/shards/00000.json").write_text("{}")
    (tmp_path / "d" / FIRST).unlink()
    assert repair(tmp_path / "d", tmp_path / "sound")[1] == []
    assert (tmp_path / "d/_work/shards/00000.json").exists()
