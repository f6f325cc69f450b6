"""Uploading to a hub on loopback: what it holds, in which order, and what it refuses."""

import huggingface_hub.constants
import pytest

from lit_precompute.schemas import DatasetError
from lit_precompute.schemas.sharing.hub import uploading
from lit_precompute.schemas.sharing.hub.folder import lay_out
from lit_precompute.schemas.sharing.hub.uploading import HubError, repository_of, upload
from tests.schemas.making import files_of, write
from tests.stores.hub import fake_hub

REPOSITORY = "me/small"

# The client's own.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("dataset")
    write(path, 50)
    return lay_out(path, tmp_path_factory.mktemp("hub") / "folder", REPOSITORY)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    # Without these, the client would talk to another server about the bytes, and sleep between attempts.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(uploading, "_FILES_PER_COMMIT", 5)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    with fake_hub() as hub:
        yield hub


def test_the_hub_holds_the_folder_and_the_manifest_came_last(hub, folder):
    seen = []
    commit = upload(folder, REPOSITORY, endpoint=hub.url, report=lambda done, total: seen.append((done, total)))
    assert hub.repositories[REPOSITORY] == files_of(folder.path)
    assert hub.commits[REPOSITORY][-1] == folder.last
    assert max(map(len, hub.commits[REPOSITORY])) <= 5
    assert commit == hub.head(REPOSITORY)
    total = len(folder.files) + len(folder.last)
    assert seen[-1] == (total, total)


def test_an_upload_that_broke_off_goes_on(hub, folder):
    broken = []

    def report(done, total):
        if not broken:
            broken.append(done)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upload(folder, REPOSITORY, endpoint=hub.url, report=report)
    assert "manifest.json" not in hub.repositories[REPOSITORY]
    before = len(hub.objects)
    hub.asked.clear()
    upload(folder, REPOSITORY, endpoint=hub.url)
    assert hub.repositories[REPOSITORY] == files_of(folder.path)
    assert sum(asked.startswith("PUT") for asked in hub.asked) == len(hub.objects) - before


def test_another_datasets_repository_is_refused(hub, folder, tmp_path):
    upload(folder, REPOSITORY, endpoint=hub.url)
    write(tmp_path / "other", 40)
    other = lay_out(tmp_path / "other", tmp_path / "folder", REPOSITORY)
    with pytest.raises(DatasetError, match=f"has another dataset, of digest {folder.manifest.digest}"):
        upload(other, REPOSITORY, endpoint=hub.url)
    assert hub.repositories[REPOSITORY] == files_of(folder.path)


@pytest.mark.parametrize("name", ["README.md", "embeddings/part-00000.arrayrecord"])
def test_bytes_that_the_hub_does_not_hold_are_noticed(hub, folder, name):
    hub.changes[name] = b"changed on the way"
    with pytest.raises(DatasetError, match=f"hf://datasets/me/small/{name}: the hub holds other bytes"):
        upload(folder, REPOSITORY, endpoint=hub.url)


def test_a_token_that_may_not_write(hub, folder):
    hub.token = "another"
    with pytest.raises(HubError, match=r"hf://datasets/me/small: the hub refuses it \(401\); log in with"):
        upload(folder, REPOSITORY, endpoint=hub.url)


def test_what_the_hub_answers_is_passed_on(hub, folder):
    upload(folder, REPOSITORY, endpoint=hub.url)
    hub.refusals = [503]
    with pytest.raises(HubError, match=r"the hub answered 503 \(refused by the test\); run the same command again"):
        upload(folder, REPOSITORY, endpoint=hub.url)
    upload(folder, REPOSITORY, endpoint=hub.url)


def test_a_hub_that_is_not_there(folder, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    with pytest.raises(HubError, match=r"hf://datasets/me/small: the hub cannot be reached \(.*refused.*\)"):
        upload(folder, REPOSITORY, endpoint="http://127.0.0.1:9")


@pytest.mark.parametrize(
    "url", ["hf://me/small", "me/small", "hf://datasets/small", "hf://datasets/a/b/c", "hf://datasets/a/b b"]
)
def test_addresses_of_repositories(url):
    with pytest.raises(DatasetError, match="must be hf://datasets/OWNER/NAME"):
        repository_of(url)
    assert repository_of("hf://datasets/me/small/") == "me/small"
