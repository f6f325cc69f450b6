import functools
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from lit_precompute.precompute.sources.formats import Format, Place, recognise
from lit_precompute.precompute.sources.opening import FORMATS, format_names, make_source, recognise_source
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import find_described
from tests.precompute.sources.looked import look, rows_of


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("t.csv", "csv"),
        ("gs://bucket/T.TSV", "tsv"),
        ("data-{00..12}.jsonl", "jsonl"),
        ("t.csv.gz", "csv"),
        ("t.jsonl.zst", "jsonl"),
        ("data-*.tar", "webdataset"),
        ("d.tgz", "webdataset"),
    ],
)
def test_an_ending_is_recognised_without_any_request(path, name):
    def find(pattern):
        raise AssertionError(pattern)

    recognised = recognise_source(SourceSpec(path), find=find)
    assert (recognised.name, recognised.how) == (name, f"by its name, {path.rpartition('/')[2]}")


@pytest.mark.parametrize("folder", [".", "train", "a/b"])
@pytest.mark.parametrize(("ending", "name"), [(".PARQUET", "parquet"), (".Pq", "parquet"), (".FEATHER", "arrow")])
def test_endings_in_capitals_are_found_in_folders_as_well(tmp_path, folder, ending, name):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    table = pa.table({"path": [b"image"], "text": ["words"]})
    write = (
        pq.write_table if name == "parquet" else functools.partial(feather.write_feather, compression="uncompressed")
    )
    write(table, str(tmp_path / folder / f"up{ending}"))
    assert recognise_source(SourceSpec(str(tmp_path))).name == name
    assert [row.texts for row in rows_of(look(tmp_path))] == [("words",)]


def test_a_folder_is_recognised_by_its_files_and_read_in_their_order(tmp_path):
    for number, name in enumerate(("b.csv", "a.csv.gz", "c.CSV", "notes.txt")):
        (tmp_path / name).write_text(f"path,text\n{number}.png,x\n")
    assert recognise_source(SourceSpec(str(tmp_path))).name == "csv"
    looked = look(tmp_path)
    assert [row.key for row in rows_of(looked)] == ["1.png", "0.png", "2.png"]
    assert looked.survey.extent == "6 lines in 3 tables"


def test_images_are_relative_to_their_own_table(tmp_path):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.csv").write_text(f"path,text\n{name}.png,x\n")
        (tmp_path / name / f"{name}.png").write_bytes(name.encode())
    rows = rows_of(look(tmp_path / "*" / "t.csv"))
    assert [(row.key, row.read_image()) for row in rows] == [("x.png", b"x"), ("y.png", b"y")]


def test_a_pattern_without_an_ending_is_recognised_by_what_it_matches(tmp_path):
    (tmp_path / "a.csv").write_text("path,text\n1.png,x\n")
    assert recognise_source(SourceSpec(str(tmp_path / "*"))).name == "csv"


def test_a_folder_of_several_formats_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "a.csv").write_text("path,text\n1.png,x\n")
    (tmp_path / "b.jsonl").write_text("{}")
    with pytest.raises(SourceError, match=r"files of several formats, csv and jsonl: give one file, or .*/\*\.csv$"):
        make_source(SourceSpec(str(tmp_path)))
    assert len(rows_of(look(tmp_path, format="csv"))) == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent", "absent: no such file or folder; check the path$"),
        ("absent/", "absent/: no such file or folder; check the path$"),
        ("empty", "empty: the folder is empty; hidden files do not count$"),
        ("*.data", r"\*\.data: no such files$"),
        (
            "coco.json",
            r"coco.json: unknown format; write JSON as lines, one object for each image \(\.jsonl\); a source is",
        ),
        ("cat.JPG", "cat.JPG: unknown format; give the folder of an image, or a table that lists it; a source is"),
        ("t.xls", r"t\.xls: unknown format; a source is a \.tar file, "),
    ],
)
def test_a_path_that_is_no_source_is_refused_with_what_is_wrong(tmp_path, path, message):
    (tmp_path / "empty").mkdir()
    for name in ("coco.json", "cat.JPG", "t.xls"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(SourceError, match=message):
        make_source(SourceSpec(f"{tmp_path}/{path}"))


def test_rows_in_another_format_are_not_left_out_in_silence(tmp_path):
    for name in ("0.tar", "1.tar", "t.csv"):
        (tmp_path / name).touch()
    message = (
        r"the folder has files of webdataset and others, such as t\.csv, which would be left out: give a pattern, such "
        r"as '.*/\*\.tar', or --source-format webdataset to leave them out$"
    )
    with pytest.raises(SourceError, match=message):
        recognise_source(SourceSpec(str(tmp_path)))
    assert recognise_source(SourceSpec(str(tmp_path), format="webdataset")).name == "webdataset"
    assert recognise_source(SourceSpec(f"{tmp_path}/*.tar")).name == "webdataset"


@pytest.mark.parametrize("data", ["tar", "tfrecord"])
def test_what_bears_the_names_of_the_files_belongs_to_them(tmp_path, data):
    """As img2dataset writes them."""
    for name in (f"00000.{data}", "00000.parquet", "00000_stats.json", f"00001.{data}", "00001.parquet", ".hidden.csv"):
        (tmp_path / name).touch()
    assert recognise_source(SourceSpec(str(tmp_path))).name == {"tar": "webdataset"}.get(data, data)


def test_files_without_rows_among_others_are_fine_and_alone_are_not(tmp_path):
    (tmp_path / "a.csv").write_text("path,text\n")
    with pytest.raises(SourceError, match="no rows; a table needs at least one after its header"):
        look(tmp_path)
    (tmp_path / "b.csv").write_text("path,text\n")
    with pytest.raises(SourceError, match="no rows; in 2 tables"):
        look(tmp_path)
    (tmp_path / "b.csv").write_text("path,text\n1.png,x\n")
    assert len(rows_of(look(tmp_path))) == 1


def test_keys_must_be_unique_over_all_tables(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("path,text\n1.png,x\n")
    with pytest.raises(SourceError, match=r"b\.csv, line 2: .*'1\.png' was first seen at .*a\.csv, line 2"):
        look(tmp_path)


def test_every_format_has_a_name_of_its_own():
    assert len(set(format_names())) == len(format_names())
    assert {"csv", "tsv", "jsonl", "quoted-tsv", "semicolon-csv", "webdataset"} <= set(format_names())


def test_a_format_of_ones_own_decides_by_what_is_in_the_folder(tmp_path):
    """What a new format needs: a `Format`, and its place in a list."""
    (tmp_path / "dataset_info.json").touch()
    (tmp_path / "a.csv").touch()

    def in_folder(place: Place) -> str | None:
        return "built" if "dataset_info.json" in place.inside else None

    mine = Format(
        names=("built",),
        endings={},
        make=lambda *given: pytest.fail("makes nothing"),
        described="a built dataset",
        plural="built datasets",
        in_folder=in_folder,
    )
    recognised = recognise(SourceSpec(str(tmp_path)), (mine, *FORMATS), find_described)
    assert (recognised.name, recognised.how) == ("built", "by the files in it")


def test_a_folder_is_listed_once_to_recognise_it_and_list_its_files(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.tar").write_bytes(bytes(1024))
    asked = []

    def find(pattern):
        asked.append(pattern)
        return find_described(pattern)

    source = make_source(SourceSpec(str(tmp_path)), find=find)
    assert len(source.files()) == 3
    assert sum(pattern.endswith("/*") for pattern in asked) == 1
    (tmp_path / "3.tar").write_bytes(bytes(1024))
    assert len(source.files()) == 4
    (tmp_path / "4.tar").write_bytes(bytes(1024))
    assert len(pickle.loads(pickle.dumps(make_source(SourceSpec(str(tmp_path))))).files()) == 5


def test_no_path_is_not_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert make_source(SourceSpec(".")).files()
    with pytest.raises(SourceError, match=r"^a source's path is empty$"):
        make_source(SourceSpec(""))
