"""A look into a tar: where each of its samples is, or that it is one slice whose samples are found as it is read.

Promises: a tar is one slice if it is compressed, if the user asks for it, or if it is not on this machine and about as
large as a few slices: there, a request for each header would cost more than the shorter units bring, and headers
between small images cannot be read without them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from lit_precompute.precompute.sources.planning import cut_slices
from lit_precompute.precompute.sources.source import FileLook, FileSlice
from lit_precompute.precompute.sources.webdataset.tar_links import with_links
from lit_precompute.precompute.sources.webdataset.tar_members import Member
from lit_precompute.precompute.sources.webdataset.tar_opening import OpenTar
from lit_precompute.precompute.sources.webdataset.tar_scan import Sought, TarScan, scan_tar
from lit_precompute.schemas.storage import is_url, local_path

# How far a look goes into a tar that is one slice: a compressed one, and one whose headers are not to be read.
_MAX_SAMPLES = 1000
_MAX_BYTES = 32 << 20
_MAX_SAMPLES_OF_WHOLE = 100
# Of a tar in a store that is read whole: img2dataset writes 10,000 samples, and a unit has 4,096 rows by default.
_MAX_SLICES_OF_WHOLE = 4


def look_into(
    tar: OpenTar, path: str, prefix: str, sought: Sought, *, rows_per_slice: int, is_whole: bool, most: int | None
) -> FileLook:
    """Looks into a tar; see `Source.look`.

    Args:
      tar: the tar, open.
      path: of the tar.
      prefix: what the keys of its samples begin with.
      sought: what is looked for.
      rows_per_slice: rows of a slice, at most.
      is_whole: whether the user asks for one slice.
      most: samples to look at; None for all.

    Raises:
      SourceError: the tar is damaged, or has two members of one name.
    """
    if tar.compression:
        limited = dataclasses.replace(sought, max_samples=_MAX_SAMPLES, max_bytes=_MAX_BYTES)
        return _one_slice(tar, path, scan_tar(tar, path, prefix, limited, {}))
    if is_whole or (_is_remote(path) and most is None):
        limited = dataclasses.replace(sought, max_samples=_MAX_SAMPLES_OF_WHOLE, max_bytes=_MAX_BYTES)
        scan = scan_tar(tar, path, prefix, limited, {})
        if is_whole or (_is_enough(scan, sought) and _rows_guessed(tar, scan) <= _MAX_SLICES_OF_WHOLE * rows_per_slice):
            return _one_slice(tar, path, scan)
    return _slices(tar, path, prefix, dataclasses.replace(sought, max_samples=most), rows_per_slice)


def _is_remote(path: str) -> bool:
    # By its name: files that move are opened under the names that they had first, and then are cut alike.
    return is_url(path) and local_path(path) is None


def _is_enough(scan: TarScan, sought: Sought) -> bool:
    """Returns whether the beginning of a tar tells what the rest is read by; of a tar that ends there, all is known."""
    return not scan.is_whole and sought.keys <= scan.found


def _rows_guessed(tar: OpenTar, scan: TarScan) -> float:
    """Returns about how many samples a tar has, from its first ones."""
    assert tar.file_bytes is not None
    return tar.file_bytes / scan.offsets[-1] * (len(scan.offsets) - 1)


def _one_slice(tar: OpenTar, path: str, scan: TarScan) -> FileLook:
    """Returns a look into the beginning of a tar that is one slice; its reader tells its keys and notes."""
    num_bytes = tar.file_bytes
    assert num_bytes is not None
    scan.digest.update(f"{num_bytes}\n".encode())
    is_empty = scan.is_whole and not scan.hashes
    return FileLook(
        path=path,
        slices=() if is_empty else (FileSlice(path=path, start=0, stop=num_bytes, num_rows=None),),
        key_hashes=b"",
        num_bytes=num_bytes,
        content=scan.digest.hexdigest(),
        notes=(),
        findings=scan.findings(),
    )


def _slices(tar: OpenTar, path: str, prefix: str, sought: Sought, rows_per_slice: int) -> FileLook:
    scan = scan_tar(tar, path, prefix, sought, {})
    targets: Mapping[int, Member] = {}
    if scan.num_links:
        targets = tar.find_targets()
        scan = scan_tar(tar, path, prefix, sought, targets)
    slices = cut_slices(path, np.frombuffer(scan.offsets, np.int64), rows_per_slice)
    return FileLook(
        path=path,
        slices=with_links(slices, targets) if targets else slices,
        key_hashes=bytes(scan.hashes),
        num_bytes=tar.file_bytes,
        content=scan.digest.hexdigest(),
        notes=scan.notes(),
        findings=scan.findings(),
    )
