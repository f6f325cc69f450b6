"""Files found, opened and copied by path or URL."""

import hashlib
import uuid

import fsspec
import pytest

from lit_precompute.schemas.storage import (
    copy_file,
    file_sha256,
    file_version,
    find_described,
    find_files,
    is_file,
    is_folder,
    local_path,
    open_file,
)


@pytest.fixture
def bucket():
    """The URL of a folder in a store in memory."""
    name = uuid.uuid4().hex
    store = fsspec.filesystem("memory")
    store.pipe({f"/{name}/a.txt": b"a", f"/{name}/b.txt": b"bb", f"/{name}/c.bin": b"ccc"})
    yield f"memory://{name}"
    store.rm(f"/{name}", recursive=True)


@pytest.fixture
def folder(tmp_path):
    """The same files, local."""
    for name, content in {"a.txt": b"a", "b.txt": b"bb", "c.bin": b"ccc"}.items():
        (tmp_path / name).write_bytes(content)
    return str(tmp_path)


def test_paths_and_urls_are_found_and_opened_alike(folder, bucket):
    for root in (folder, bucket):
        found = find_files(f"{root}/*.txt")
        assert [name.rpartition("/")[2] for name in found] == ["a.txt", "b.txt"]
        assert found[0].startswith(root.partition("://")[0])
        contents = []
        for name in found:
            with open_file(name) as file:
                contents.append(file.read())
        assert contents == [b"a", b"bb"]
        assert find_files(f"{root}/*.none") == []


def test_listings_describe_files_and_folders(folder, bucket):
    for root in (folder, bucket):
        found = find_described(f"{root}/*.txt")
        assert list(found) == find_files(f"{root}/*.txt")
        assert [file.num_bytes for file in found.values()] == [1, 2]
        assert all(file.version and not file.is_folder for file in found.values())
        (itself,) = find_described(root).values()
        assert itself.is_folder


def test_what_a_url_names(folder, bucket):
    assert is_folder(bucket) and not is_folder(f"{bucket}/a.txt")
    assert is_file(f"{bucket}/a.txt") and not is_file(bucket)
    assert str(local_path(f"file://{folder}/a.txt")) == f"{folder}/a.txt"
    assert local_path(f"{bucket}/a.txt") is None


def test_a_version_changes_with_the_file(bucket):
    before = file_version(f"{bucket}/a.txt")
    assert file_version(f"{bucket}/a.txt") == before
    fsspec.filesystem("memory").pipe(f"{bucket}/a.txt", b"another")
    assert file_version(f"{bucket}/a.txt") != before


def test_a_file_is_copied_whole_and_checked_before_it_appears(tmp_path, bucket):
    target = tmp_path / "new" / "b.txt"

    def refuse(path):
        assert path.read_bytes() == b"bb" and not target.exists()
        raise ValueError("not the expected file")

    with pytest.raises(ValueError, match="not the expected file"):
        copy_file(f"{bucket}/b.txt", target, check=refuse)
    assert list(target.parent.iterdir()) == []
    copy_file(f"{bucket}/b.txt", target)
    assert [(path.name, path.read_bytes()) for path in target.parent.iterdir()] == [("b.txt", b"bb")]


def test_a_hash_is_of_the_files_bytes(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
