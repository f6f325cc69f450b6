"""Folders of images as a format of sources."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.precompute.sources.folders.names import is_hidden, is_image
from lit_precompute.precompute.sources.formats import Format, Place
from lit_precompute.precompute.sources.source import Source
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import FoundFile

# Folders that are looked into to tell what a folder of folders is.
_NUM_LOOKED_INTO = 3


def _make(spec: SourceSpec, name: str, opener: Opener, find: Finder) -> Source:
    from lit_precompute.precompute.sources.folders.source import make_folder

    return make_folder(spec, name, opener)


def _found_in(place: Place) -> str | None:
    """Returns "class-folders" where images are in folders alone, and nothing else is, as far as the first ones tell."""
    folders = [name for name, file in place.inside.items() if file.is_folder and not is_hidden(name)]
    if any(map(is_image, _files(place.inside))):
        return "folder"
    inside = [_inside(place, folder) for folder in folders[:_NUM_LOOKED_INTO]]
    if len(folders) > 1 and not _files(place.inside) and all(map(_holds_images_alone, inside)):
        return "class-folders"
    if any(is_image(name) for files in inside for name in _files(files)):
        return "folder"
    below = [
        _inside(place, f"{folder}/{name}")
        for folder, files in zip(folders[:1], inside[:1], strict=True)
        for name, file in files.items()
        if file.is_folder
    ]
    return "folder" if any(is_image(name) for files in below[:1] for name in _files(files)) else None


def _inside(place: Place, name: str) -> Mapping[str, FoundFile]:
    return Place(f"{place.path.rstrip('/')}/{name}", place.find).inside


def _files(inside: Mapping[str, FoundFile]) -> Collection[str]:
    return [name for name, file in inside.items() if not file.is_folder and not is_hidden(name)]


def _holds_images_alone(inside: Mapping[str, FoundFile]) -> bool:
    seen = [name for name in inside if not is_hidden(name)]
    return bool(seen) and all(is_image(name) and not inside[name].is_folder for name in seen)


FORMAT = Format(
    names=("folder", "class-folders"),
    endings={},
    make=_make,
    described="a folder of images",
    plural="folders of images",
    noun="folder",
    words={"folder": "folder of images", "class-folders": "class folders"},
    in_folder=_found_in,
)
