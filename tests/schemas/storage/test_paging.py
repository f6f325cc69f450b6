"""Folders of any size are looked into by pages, of which each is one request."""

import pytest

from lit_precompute.schemas.storage import StorageError, open_folder, paging
from lit_precompute.schemas.storage.paging import folder_pages
from tests.stores.proxy import store_proxy


@pytest.fixture(params=["disk", "memory", "gs", "s3"])
def place(request, tmp_path):
    if request.param == "disk":
        return str(tmp_path / "place")
    if request.param == "memory":
        return f"memory:/{tmp_path}"
    return request.getfixturevalue("gcs_bucket" if request.param == "gs" else "s3_bucket")


@pytest.mark.parametrize("page", [2, 1000])
def test_all_names_are_on_some_page(place, page, monkeypatch):
    monkeypatch.setattr(paging, "_PAGE", page)
    folder = open_folder(place)
    for name in ("a", "b/c", "b/d/e", "ü", "z/y", "0"):
        folder.write(name, b"")
    pages = list(folder_pages(place))
    assert sorted(name for each in pages for name in each.files) == ["0", "a", "ü"]
    assert sorted({name for each in pages for name in each.folders}) == ["b", "z"]
    (inner,) = folder_pages(f"{place}/b")
    assert inner == (["c"], ["d"])


@pytest.mark.parametrize("server", ["gcs_server", "s3_server"])
def test_a_page_is_one_request_and_what_is_below_costs_nothing(request, server):
    with store_proxy(request.getfixturevalue(server)) as proxy:
        bucket = proxy.server.make_bucket()
        for number in range(12):
            open_folder(bucket).write(f"many/{number:02d}", b"")
        open_folder(bucket).write("one", b"")
        proxy.passed = []
        assert list(folder_pages(bucket)) == [(["one"], ["many"])]
        assert len(proxy.passed) == 1


def test_a_bucket_that_is_not_there(gcs_bucket, s3_bucket):
    for bucket in (gcs_bucket, s3_bucket):
        assert list(folder_pages(f"{bucket}/nothing/here")) == [([], [])]
        with pytest.raises(StorageError, match="there is no bucket"):
            list(folder_pages(f"{bucket}-gone/a"))
