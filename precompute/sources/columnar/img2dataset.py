"""What img2dataset writes as `files`: 00000.parquet with a row per image it tried, and beside it a folder 00000.

Source: rom1504/img2dataset, img2dataset/writer.py (`FilesSampleWriter`).
"""

from __future__ import annotations

import glob
import re
from collections.abc import Collection

from lit_precompute.precompute.sources.files import Finder

_SHARD = re.compile(r"(\d+)\.parquet")
_OTHERS = ("txt", "json")


def has_files(files: Collection[str], folders: Collection[str]) -> bool:
    """Returns whether a folder that holds some files and folders is of img2dataset's `files`."""
    shards = [found[1] for name in files if (found := _SHARD.fullmatch(name))]
    return bool(shards) and any(shard in folders for shard in shards)


def image_ending(folder: str, find: Finder) -> str:
    """Returns what the names of the images in a folder end in: one of jpg, png and webp."""
    names = (path.rpartition("/")[2] for path in find(f"{glob.escape(folder)}/*"))
    endings = (name.rpartition(".")[2] for name in names)
    return next((ending for ending in endings if ending not in _OTHERS), "jpg")
