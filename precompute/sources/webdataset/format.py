"""Webdataset's tars as a format of sources."""

from __future__ import annotations

from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.precompute.sources.formats import Format
from lit_precompute.precompute.sources.source import Source
from lit_precompute.precompute.sources.spec import SourceSpec

# The first that a tar's name ends in is not part of keys.
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.zst")


def _make(spec: SourceSpec, name: str, opener: Opener, find: Finder) -> Source:
    from lit_precompute.precompute.sources.webdataset.units import make_webdataset

    return make_webdataset(spec, name, opener, find)


FORMAT = Format(
    names=("webdataset",),
    endings=dict.fromkeys(TAR_ENDINGS, "webdataset"),
    make=_make,
    described="a .tar file",
    plural="tars",
    noun="tar",
    options=frozenset({"sample_name", "key_folders", "whole_tars"}),
)
