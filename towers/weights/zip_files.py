"""Zip files (`.npz`, torch's `.pth`): opened with care, read member by member.

Promises: before memory is allocated for a member, the sizes that the whole file claims are compared with its own size;
a repeated name, a name that looks like a path, and a compression that neither NumPy nor torch writes are refused.
Members are only read into memory; nothing is unpacked to a disk.
"""

from __future__ import annotations

import re
import zipfile

import numpy as np

from lit_precompute.towers.weights.errors import WeightsError, reading_zip
from lit_precompute.towers.weights.file_bytes import FileBytes, fill

# Weights hardly compress; a file of zeros shrinks 1,000 times. Below the floor any factor is accepted.
_MAX_EXPANSION = 20
_BOMB_FLOOR_BYTES = 1 << 30
# Not bzip2 or xz, which decompress whole blocks at once, however few bytes are requested.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LIKE_A_PATH = re.compile(r"(^|/)\.\.?(/|$)|^/|\\|//|[\x00-\x1f]|^[A-Za-z]:")


class ZipMembers:
    """The members of a zip file by name."""

    def __init__(self, data: FileBytes):
        """Reads the list of members.

        Raises:
          WeightsError: not a whole zip file, or one of the kinds that the module refuses.
        """
        self._where = data.where
        with reading_zip(self._where):
            self._archive = zipfile.ZipFile(data.file)
            members = self._archive.infolist()
        self._members = {member.filename: member for member in members}
        if len(self._members) != len(members):
            raise WeightsError(f"{self._where}: two members of its zip file have the same name; refused")
        for member in members:
            self._check(member)
        total = sum(member.file_size for member in members)
        if total > max(_BOMB_FLOOR_BYTES, _MAX_EXPANSION * data.size):
            raise WeightsError(
                f"{self._where}: {data.size} bytes claim to hold {total}, more than {_MAX_EXPANSION} times as many and "
                "than weights ever compress; refused"
            )

    def _check(self, member: zipfile.ZipInfo) -> None:
        where = f"{self._where}: {member.filename!r}"
        if _LIKE_A_PATH.search(member.filename):
            raise WeightsError(f"{where}: a member's name must not reach out of the file like a path; refused")
        if member.compress_type not in _COMPRESSIONS:
            raise WeightsError(f"{where}: must be stored or deflated, got compression {member.compress_type}; refused")
        if member.flag_bits & 1:
            raise WeightsError(f"{where}: is encrypted; save the file without a password")

    def names(self) -> list[str]:
        """Returns the members' names in the file's order."""
        return list(self._members)

    def size(self, name: str) -> int:
        """Returns how many bytes a member has, as the file claims.

        Raises:
          WeightsError: there is no such member.
        """
        return self._member(name).file_size

    def read_start(self, name: str, num_bytes: int) -> bytes:
        """Returns a member's first bytes, at most so many.

        Raises:
          WeightsError: there is no such member, or it is damaged where it was read.
        """
        member = self._member(name)
        with reading_zip(f"{self._where}: {name!r}"), self._archive.open(member) as file:
            return file.read(num_bytes)

    def read(self, name: str, max_bytes: int | None = None) -> np.ndarray:
        """Returns a member's bytes, uint8 and read-only.

        Raises:
          WeightsError: there is no such member, it is damaged, or longer than `max_bytes`.
        """
        member, where = self._member(name), f"{self._where}: {name!r}"
        if max_bytes is not None and member.file_size > max_bytes:
            raise WeightsError(f"{where}: must have at most {max_bytes} bytes, got {member.file_size}; refused")
        values = np.empty(member.file_size, np.uint8)
        with reading_zip(where), self._archive.open(member) as file:
            fill(file, values, where)  # pyright: ignore[reportArgumentType]
        return values

    def _member(self, name: str) -> zipfile.ZipInfo:
        if name not in self._members:
            raise WeightsError(f"{self._where}: {name!r}: missing in its zip file; fetch it again")
        return self._members[name]
