"""Keys of tars: their names, and the folders that are asked for."""

import gzip
import json
import pathlib

import pytest

from lit_precompute.precompute.sources.source import SourceError
from tests.precompute.sources.webdataset.tars import all_rows, contents, make_tars, open_tars, write_tar


@pytest.fixture
def parts(tmp_path):
    """Two parts of a collection, each with a tar of the same name and samples."""
    for part in ("cc3m", "cc12m"):
        (tmp_path / "data" / part).mkdir(parents=True)
        write_tar(tmp_path / "data" / part / "00000.tar", [("000001.jpg", part), ("000001.txt", f"of {part}")])
    return tmp_path / "data"


def test_folders_are_part_of_keys_if_asked_for(parts):
    looked = open_tars(f"{parts}/{{cc3m,cc12m}}/00000.tar", key_folders=1)
    rows = all_rows(looked)
    assert [(row.key, row.texts) for row in rows] == [
        ("cc3m/00000/000001", ("of cc3m",)),
        ("cc12m/00000/000001", ("of cc12m",)),
    ]
    (part,) = looked.looks[0].slices
    assert list(looked.source.keys(part)) == [("cc3m/00000/000001", f"{parts}/cc3m/00000.tar, byte 0")]
    assert looked.source.options["key_folders"] == 1
    assert "key_folders" not in make_tars(str(parts)).options
    (row,) = all_rows(open_tars(f"{parts}/cc3m/00000.tar", key_folders=2))
    assert row.key == "data/cc3m/00000/000001"


@pytest.mark.parametrize("name", ["up.TAR", "up.Tar.GZ", "up.tgz"])
def test_an_ending_is_no_part_of_keys_in_any_case_of_letters(tmp_path, name):
    data = pathlib.Path(write_tar(tmp_path / "t", [("0.jpg", b"x")])).read_bytes()
    (tmp_path / "t").unlink()
    (tmp_path / name).write_bytes(data if name.endswith("TAR") else gzip.compress(data))
    for source in (tmp_path / name, tmp_path):
        assert [row.key for row in all_rows(open_tars(str(source)))] == ["up/0"]


def test_without_them_a_key_repeats_and_both_places_and_the_option_are_named(parts):
    with pytest.raises(SourceError) as caught:
        open_tars(f"{parts}/{{cc3m,cc12m}}/00000.tar")
    message = str(caught.value)
    assert message.startswith(
        f"{parts}/cc12m/00000.tar, byte 0: keys must be unique, '00000/000001' was first seen at "
    )
    assert f"{parts}/cc3m/00000.tar, byte 0; rename the tars" in message
    assert "with --key-folders 1" in message


@pytest.mark.parametrize("names", [["a.tar", "a.tar.gz"], ["a.tgz", "x/a.tar"], ["x/a.tar", "x/a.tar.gz", "y/a.tar"]])
def test_tars_of_one_name_are_refused_if_their_keys_are_known_too_late(tmp_path, names):
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        data = pathlib.Path(write_tar(tmp_path / "t", [(f"{number}.jpg", b"x")])).read_bytes()
        (tmp_path / name).write_bytes(data if name.endswith(".tar") else gzip.compress(data))
    pattern = f"{tmp_path}/{{{','.join(names)}}}"
    with pytest.raises(
        SourceError, match=r"a\.t.*: keys must be unique, and those of .*a\.t.* begin with 'a/', too; tars"
    ):
        open_tars(pattern)
    with pytest.raises(SourceError, match="begin with 'a/', too"):
        open_tars(f"{tmp_path}/{{{names[0]},{names[0]}}}", whole_tars=True)


def test_tars_of_one_name_in_other_folders_are_read_whole_with_the_option(parts):
    rows = all_rows(open_tars(f"{parts}/{{cc3m,cc12m}}/00000.tar", key_folders=1, whole_tars=True))
    assert [row.key for row in rows] == ["cc3m/00000/000001", "cc12m/00000/000001"]


@pytest.mark.parametrize("path", ["00000.tar", "./00000.tar", "../00000.tar", "memory://bucket/00000.tar"])
def test_a_folder_that_the_path_does_not_have_is_refused(path):
    with pytest.raises(SourceError, match=r"00000.tar: --key-folders 1 needs 1 folder in the path of each tar"):
        make_tars(path, key_folders=1).files()


def test_a_negative_number_of_folders_is_refused():
    with pytest.raises(SourceError, match="--key-folders must be >= 0, got -1"):
        make_tars("d.tar", key_folders=-1)


def test_keys_do_not_depend_on_what_a_path_begins_with(parts, monkeypatch):
    monkeypatch.chdir(parts)
    paths = ["cc3m/00000.tar", "./cc3m//00000.tar", f"{parts}/cc3m/00000.tar", f"file://{parts}/cc3m/00000.tar"]
    looked = [open_tars(path, key_folders=1) for path in paths]
    assert {row.key for each in looked for row in all_rows(each)} == {"cc3m/00000/000001"}
    assert len({content for each in looked for content in contents(each)}) == 1
    assert contents(open_tars(paths[0])) != contents(looked[0])


@pytest.mark.parametrize("name", ["a.b.tar", "a.b.tgz", "a.b.tar.gz"])
def test_only_the_ending_of_a_tar_is_left_out(tmp_path, name):
    (row,) = all_rows(open_tars(write_tar(tmp_path / name, [("1.jpg", b"x")])))
    assert row.key == "a.b/1"


def test_findings_are_small_json(tmp_path):
    """Those of 100,000 tars are surveyed on one worker."""
    members = [
        (f"{n}.{suffix}", json.dumps({f"key {n} {i} {'x' * 90}": 1 for i in range(40)}) if suffix == "json" else "")
        for n in range(50)
        for suffix in ("jpg", f"suffix-{n}-{'y' * 90}", "json")
    ]
    (look,) = open_tars(write_tar(tmp_path / "d.tar", members)).looks
    assert len(json.dumps(look.findings)) < 10_000
