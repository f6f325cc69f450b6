"""Images are found where the dataset and its source are now, and nowhere else."""

import pathlib
import types

import pytest

from lit_precompute.schemas import SourceFile, SourceInfo
from lit_precompute.tune.evaluation.show.images import find_images, find_source

LONG = "a" * 300
TABLE = "path\ttext\n1.png\ta dog\n"


def put(path, content=TABLE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def noted(path, *files):
    """Returns a source as the manifest notes it; by default its only file is the path."""
    files = [SourceFile(path=file, bytes=len(TABLE)) for file in files or (path,)]
    return SourceInfo(kind="table", path=path, files=files, options={})


@pytest.mark.parametrize(
    ("path", "dataset", "now"),
    [
        ("data/t.tsv", "out", "data/t.tsv"),  # the command runs in another folder than the job did
        ("data/t.tsv", "runs/first/out", "data/t.tsv"),
        ("./data/t.tsv", "out", "data/t.tsv"),
        ("../data/t.tsv", "job/out", "data/t.tsv"),
        ("/old/place/data/t.tsv", "out", "data/t.tsv"),  # both have moved
        ("/old/place/data/t.tsv", "out", "t.tsv"),
        ("/old/place/data/t.tsv", "data/out", "data/t.tsv"),
        ("data/t.tsv", "out", "out/t.tsv"),  # put inside
    ],
)
def test_a_source_is_found_around_the_dataset(tmp_path, path, dataset, now):
    put(tmp_path / now)
    (tmp_path / dataset).mkdir(parents=True, exist_ok=True)
    found = find_source(noted(path), tmp_path / dataset)
    assert found is not None
    assert pathlib.Path(found).resolve() == tmp_path / now


@pytest.mark.parametrize("path", ["data", "data/", "data/*.tar", "data/{0..1}.tar"])
def test_patterns_and_folders_of_tars_are_found(tmp_path, path):
    for number in range(2):
        put(tmp_path / f"data/{number}.tar")
    info = noted(path, "data/0.tar", "data/1.tar")
    assert find_source(info, tmp_path / "out") == f"{tmp_path}/{path.rstrip('/')}"
    (tmp_path / "data/1.tar").unlink()
    assert find_source(info, tmp_path / "out") is None


def test_a_folder_of_images_is_found_by_its_folders(tmp_path):
    for name in ("cat", "dog"):
        put(tmp_path / f"data/{name}/1.png")
    folders = [SourceFile(path=f"data/{name}", bytes=0) for name in ("cat", "dog")]
    info = SourceInfo(kind="class-folders", path="data", files=folders, options={})
    assert find_source(info, tmp_path / "out") == f"{tmp_path}/data"
    (tmp_path / "data/dog").rename(tmp_path / "data/cow")
    assert find_source(info, tmp_path / "out") is None


def test_another_file_of_that_name_is_not_the_source(tmp_path, monkeypatch):
    """Neither around the dataset nor, if the true one is there, in the working folder."""
    put(tmp_path / "data/t.tsv", "something else")
    assert find_source(noted("data/t.tsv"), tmp_path / "out") is None
    put(tmp_path / "here/data/t.tsv", "something else")
    put(tmp_path / "moved/data/t.tsv")
    monkeypatch.chdir(tmp_path / "here")
    assert find_source(noted("data/t.tsv"), tmp_path / "moved/out") == f"{tmp_path}/moved/data/t.tsv"


def test_a_source_at_its_noted_place_is_read_even_if_it_has_changed(tmp_path, monkeypatch):
    put(tmp_path / "t.tsv", TABLE + "2.png\ta cat\n")
    monkeypatch.chdir(tmp_path)
    assert find_source(noted("t.tsv"), tmp_path / "out") == "t.tsv"
    assert find_source(noted("https://example.org/t.tsv"), tmp_path / "out") == "https://example.org/t.tsv"


def test_a_given_folder_is_never_left(tmp_path):
    """The key may be any text; where it is a path elsewhere, its ending is looked for."""
    put(tmp_path / "secret.png", "secret")
    put(tmp_path / "images/1.png", "one")
    put(tmp_path / "images/deep/2.png", "two")
    keys = {
        "../secret.png",
        f"{tmp_path}/secret.png",
        "1.png",
        "../images/1.png",
        "/old/deep/2.png",
        "2.png",
        "",
    }
    images = dict(find_images(None, keys, str(tmp_path / "images")).images)
    assert images == {"1.png": b"one", "../images/1.png": b"one", "/old/deep/2.png": b"two"}


@pytest.mark.parametrize(
    "key", [LONG, f"/old/{LONG}/1.jpg", f"{LONG}/../1.jpg", "b/" * 5_000, "a\0b", "../a\0b", "\udcff", "1.png/x"]
)
def test_a_key_that_is_no_path_has_no_image(tmp_path, key):
    put(tmp_path / "1.png", "one")
    assert dict(find_images(None, {key, "1.png"}, str(tmp_path)).images) == {"1.png": b"one"}


def test_a_source_is_read_as_the_manifest_notes(tmp_path):
    table = put(tmp_path / "list", "file\ttext\n1.png\ta dog\n1.png\tan animal\n")
    put(tmp_path / "1.png", "one")
    options = {"format": "tsv", "columns": {"image": "file", "named": {"caption": "text"}}, "gather": True}
    source = SourceInfo(kind="table", path=str(table), files=[SourceFile(path=str(table), bytes=1)], options=options)
    dataset = types.SimpleNamespace(manifest=types.SimpleNamespace(source=source), path=str(tmp_path / "d"))
    assert dict(find_images(dataset, {"1.png"}, None).images) == {"1.png": b"one"}
