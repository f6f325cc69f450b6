"""Patterns over files in stores: as fsspec's glob has them, but for folders that cannot be listed."""

import fsspec
import pytest

from lit_precompute.schemas.storage import Patience, StorageError, find_described, find_files, open_folder
from tests.stores.proxy import Fault, store_proxy

NAMES = ("a-0.tar", "a-1.tar", "b-0.tar", "a/a-0.tar", "a/b/a-1.tar", "a.x/a-2.tar", "ü/a [1]*?.tar", "c/d/e/f.txt")
PATTERNS = ("*", "*.tar", "a-?.tar", "a-[1-9].tar", "a-[!0].tar", "a*/*.tar", "*/*.tar", "a/*", "a/b/*.tar", "**")
PATTERNS += (
    "**/*.tar",
    "a/**/*.tar",
    "a/**",
    "c/*/e/*.txt",
    "c/**/f.txt",
    "a-0.tar",
    "a",
    "nowhere/*.tar",
    "nowhere.tar",
)
PATTERNS += ("*/a-0.tar", "ü/a ?1*", "c/*/e")


def test_matches_fsspecs_glob(bucket):
    folder = open_folder(bucket)
    for name in NAMES:
        folder.write(name, b"123")
    for pattern in PATTERNS:
        files, path = fsspec.core.url_to_fs(f"{bucket}/{pattern}")
        # Files only: fsspec's own drivers differ about folders.
        expected = [name for name, found in sorted(files.glob(path, detail=True).items()) if found["type"] == "file"]
        found = find_described(f"{bucket}/{pattern}")
        named = [files._strip_protocol(url) for url, each in found.items() if not each.is_folder]
        assert (pattern, *named) == (pattern, *expected)


def test_what_the_listing_says_is_kept(bucket):
    open_folder(bucket).write("a/b.tar", b"123")
    (found,) = find_described(f"{bucket}/*/b*").values()
    assert found.num_bytes == 3


@pytest.mark.parametrize("server", ["gcs_server", "s3_server"])
@pytest.mark.parametrize(
    ("fault", "error"), [("status 503", StorageError), ("status 403 AccessDenied", PermissionError)]
)
def test_a_folder_that_cannot_be_listed_is_an_error_not_an_empty_one(request, server, fault, error):
    """fsspec's glob leaves such folders out, of which nobody would know."""
    patience = Patience(first_pause_s=0.001, max_attempts=3, draw=lambda: 0.0)
    with store_proxy(request.getfixturevalue(server)) as proxy:
        folder = open_folder(proxy.server.make_bucket())
        for name in NAMES:
            folder.write(name, b"123")
        for pattern in ("*.tar", "a*/*.tar", "a-*.tar", "a-0.tar"):
            url = folder.join(pattern)
            expected = find_files(url)
            assert expected
            proxy.fail(Fault("status 503"), times=2)
            assert find_files(url, patience=Patience(first_pause_s=0.001)) == expected
            proxy.heal()
            proxy.fail(Fault(fault, "", "a.x|delimiter|prefix|a-0.tar"), times=1000)
            with pytest.raises(error):
                find_files(url, patience=patience)
            proxy.heal()
