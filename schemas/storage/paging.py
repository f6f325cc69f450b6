"""Looking into a folder of any size: a page of names at a time, one request each, in stores that have pages.

Promises: memory is bounded by a page; nothing below the folder's own folders is listed, however much there is.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from lit_precompute.schemas.storage.asking import ask
from lit_precompute.schemas.storage.drivers import GCS_SCHEMES, S3_SCHEMES
from lit_precompute.schemas.storage.file_systems import local_path
from lit_precompute.schemas.storage.listing import is_folder_entry, list_names
from lit_precompute.schemas.storage.names import is_url
from lit_precompute.schemas.storage.retrying import DEFAULT_PATIENCE, Patience

_PAGE = 1000  # what stores give at most


class Page(NamedTuple):
    """Some of the names in a folder, in no order."""

    files: list[str]
    folders: list[str]


def folder_pages(path: str, *, patience: Patience = DEFAULT_PATIENCE) -> Iterator[Page]:
    """Yields what is directly in a folder; nothing if a store has no such folder. Links to folders are folders.

    Args:
      path: of the folder.
      patience: how long to try.

    Raises:
      OSError: it is no folder, or cannot be listed.
    """
    local = local_path(path) if is_url(path) else path
    if local is not None:
        yield from _pages_here(os.fspath(local))
        return
    scheme = path.partition("://")[0]
    list_page = _gcs_page if scheme in GCS_SCHEMES else _s3_page if scheme in S3_SCHEMES else None
    if list_page is None or "::" in path:
        files, folders, _ = list_names(path, patience=patience)
        yield Page(files, folders)
        return
    after: str | None = None
    while True:
        page, after = ask(path, lambda files, inner, at=after: list_page(files, inner, at), patience)
        yield page
        if after is None:
            return


def _pages_here(path: str) -> Iterator[Page]:
    with os.scandir(path) as entries:
        while some := list(itertools.islice(entries, _PAGE)):
            folders = {entry.name for entry in some if is_folder_entry(entry)}
            yield Page([entry.name for entry in some if entry.name not in folders], sorted(folders))


def _gcs_page(files: Any, path: str, after: str | None) -> tuple[Page, str | None]:
    bucket, prefix = _split(path)
    more = {} if after is None else {"pageToken": after}
    answer = files.call(
        "GET",
        "b/{}/o",
        bucket,
        prefix=prefix,
        delimiter="/",
        maxResults=_PAGE,
        fields="prefixes,items(name),nextPageToken",
        json_out=True,
        **more,
    )
    names = (item["name"] for item in answer.get("items", ()))
    return _page(names, answer.get("prefixes", ()), prefix), answer.get("nextPageToken")


def _s3_page(files: Any, path: str, after: str | None) -> tuple[Page, str | None]:
    bucket, prefix = _split(path)
    more = {} if after is None else {"ContinuationToken": after}
    answer = files.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter="/", MaxKeys=_PAGE, **more)
    names = (item["Key"] for item in answer.get("Contents", ()))
    folders = (item["Prefix"] for item in answer.get("CommonPrefixes", ()))
    return _page(names, folders, prefix), answer.get("NextContinuationToken")


def _split(path: str) -> tuple[str, str]:
    """Returns the bucket and the prefix of the names in a folder."""
    bucket, _, inner = path.strip("/").partition("/")
    return bucket, f"{inner}/" if inner else ""


def _page(names: Iterable[str], folders: Iterable[str], prefix: str) -> Page:
    def within(found: Iterable[str]) -> list[str]:
        # Some stores list the folder itself, too.
        return [name for each in found if (name := each.removeprefix(prefix).rstrip("/"))]

    return Page(within(names), within(folders))
