"""What is below a folder is found by few requests, whatever else is there and whatever is damaged."""

import json

import pytest

from lit_precompute.schemas import DatasetWriter, TowerCard
from lit_precompute.schemas.sharing import catalog
from lit_precompute.schemas.sharing.catalog import Wanted, find_datasets
from lit_precompute.schemas.sharing.copying import copy_dataset
from lit_precompute.schemas.storage import open_folder
from lit_precompute.schemas.storage.paging import folder_pages
from tests.schemas.making import SOURCE, card, write
from tests.stores.proxy import store_proxy


@pytest.fixture(params=["disk", "memory", "gs", "s3"])
def place(request, tmp_path):
    if request.param == "disk":
        return str(tmp_path / "place")
    if request.param == "memory":
        return f"memory:/{tmp_path}"
    return request.getfixturevalue("gcs_bucket" if request.param == "gs" else "s3_bucket")


def _fill(place):
    """A dataset, a damaged one, an unfinished job and an unfinished copy, between other things."""
    write(f"{place}/team/first")
    folder = open_folder(place)
    folder.write("team/images/0.jpg", b"")
    folder.write("team/broken/manifest.json", b"{}")
    note = {"source": {"kind": "table", "path": "x.tsv", "options": {}}, "options": {"vector_type": "int8"}, "plan": {}}
    folder.write("jobs/begun/_work/job.json", json.dumps(note).encode())
    folder.write("jobs/begun/_work/tower.json", card().model_dump_json().encode())
    folder.write("jobs/odd/_work/job.json", b"[]")
    folder.write("jobs/copied/_work/job.json", json.dumps({"copy": {"digest": "abc"}}).encode())


def test_finds_complete_unfinished_and_damaged_datasets(place):
    _fill(place)
    found = find_datasets(place)
    entries = {entry.path.removeprefix(f"{place}/"): entry for entry in found.entries}
    assert {path: entry.state for path, entry in entries.items()} == {
        "jobs/begun": "unfinished",
        "jobs/copied": "unfinished",
        "jobs/odd": "unreadable",
        "team/broken": "unreadable",
        "team/first": "complete",
    }
    first = entries["team/first"]
    assert (first.num_rows, first.num_failures, first.num_shards, first.order) == (50, 2, 3, "source")
    assert first.towers == {"embeddings": "test-tower"}
    assert first.tables == {"embeddings": 393216, "captions": 393216, "labels": 393216, "failures": 912}
    assert first.source["path"] == "captions.tsv"
    assert "format_version" in entries["team/broken"].reason
    assert "must be a JSON object, got list" in entries["jobs/odd"].reason
    assert entries["jobs/copied"].reason == "an unfinished copy of the dataset abc"
    begun = entries["jobs/begun"]
    assert (begun.source["path"], begun.options["vector_type"]) == ("x.tsv", "int8")
    assert begun.fingerprints == {"embeddings": "f" * 64}


def test_the_folder_itself_may_be_a_dataset(tmp_path):
    write(tmp_path / "a")
    (entry,) = find_datasets(tmp_path / "a").entries
    assert entry.path == str(tmp_path / "a")


def test_deeper_folders_are_counted_not_looked_into(tmp_path):
    write(tmp_path / "p/a/b/c")
    (tmp_path / "p/a/.hidden").mkdir()
    found = find_datasets(tmp_path / "p", max_depth=2)
    assert (found.entries, found.num_folders, found.num_deeper) == ([], 3, 1)
    assert len(find_datasets(tmp_path / "p", max_depth=3).entries) == 1


@pytest.mark.parametrize("store", ["gcs", "s3"])
def test_what_is_below_a_dataset_is_never_listed(request, store):
    bucket = request.getfixturevalue(f"{store}_bucket")
    write(f"{bucket}/a/b", 50)  # not through the proxy, which counts
    with store_proxy(request.getfixturevalue(f"{store}_server")) as proxy:
        assert len(find_datasets(bucket).entries) == 1
        # The bucket, a and b are listed; the manifest and the list of shards are read.
        assert len(proxy.passed) == 5


def test_links_are_followed_once(tmp_path):
    write(tmp_path / "elsewhere/a")
    (tmp_path / "p/q").mkdir(parents=True)
    (tmp_path / "p/linked").symlink_to(tmp_path / "elsewhere/a")
    (tmp_path / "p/again").symlink_to(tmp_path / "elsewhere/a")
    (tmp_path / "p/q/circle").symlink_to(tmp_path / "p")
    (tmp_path / "p/self").symlink_to(tmp_path / "p/self")
    found = find_datasets(tmp_path / "p")
    assert [entry.path for entry in found.entries] == [str(tmp_path / "p/again")]


def test_a_folder_that_cannot_be_listed_is_an_entry(tmp_path, monkeypatch):
    write(tmp_path / "p/a")
    (tmp_path / "p/closed").mkdir(parents=True)

    def pages(path):
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return folder_pages(path)

    monkeypatch.setattr(catalog, "folder_pages", pages)
    sound, closed = find_datasets(tmp_path / "p").entries
    assert (sound.state, closed.state) == ("complete", "unreadable")
    assert "Permission denied" in closed.reason


def test_a_prefix_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        find_datasets(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def two_towers(tmp_path_factory):
    """Datasets of two towers, one of which describes its network."""
    place = tmp_path_factory.mktemp("p")
    described = TowerCard.model_validate(
        {
            **card(fingerprint="ab" * 32).model_dump(),
            "name": "vit-b-16",
            "architecture": {"family": "vit", "resolution": 224, "compute_type": "float32"},
        }
    )
    for name, tower in (("plain", card()), ("vit", described)):
        with DatasetWriter(
            place / name, tower=tower, source=SOURCE.model_copy(update={"path": f"{name}.tsv"})
        ) as writer:
            writer.write(keys=["a"], embeddings=[[1.0] * 6], columns={})
    copy_dataset(place / "vit", place / "vit-copy")
    return place, described


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["plain", "vit", "vit-copy"]),
        ({"tower": "vit-b-16"}, ["vit", "vit-copy"]),
        ({"tower": "vit*"}, ["vit", "vit-copy"]),
        ({"tower": "vit"}, []),
        ({"source": "plain.tsv"}, ["plain"]),
        ({"fingerprint": "abab"}, ["vit", "vit-copy"]),
        ({"fingerprint": "f" * 64, "tower": "vit*"}, []),
    ],
)
def test_filters(two_towers, wanted, names):
    place, _ = two_towers
    found = [entry for entry in find_datasets(place).entries if Wanted(**wanted).fits(entry)]
    assert [entry.path.rpartition("/")[2] for entry in found] == names


def test_a_model_identity_is_that_of_the_card(two_towers):
    place, described = two_towers
    wanted = Wanted(model_identity=described.model_identity[:12])
    assert len([entry for entry in find_datasets(place).entries if wanted.fits(entry)]) == 2
