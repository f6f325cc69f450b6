"""Wheels written from files that are here, without a build tool or a network.

Promises: the same files, name, version and requirements give the same bytes; a wheel is kept by the hash of its bytes
and appears whole. Only pure Python fits: the wheel installs on any machine.
"""

import base64
import hashlib
import io
import pathlib
import zipfile
from collections.abc import Mapping, Sequence

from lit_precompute.schemas.storage import write_bytes_atomically

_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold: times of files would change the bytes
_MODE = 0o644 << 16


def write_wheel(
    folder: pathlib.Path,
    *,
    name: str,
    version: str,
    files: Mapping[str, pathlib.Path],
    requires: Sequence[str] = (),
    requires_python: str = "",
) -> pathlib.Path:
    """Returns the path of a wheel with these files, written below `folder` unless it is there.

    Args:
      folder: where wheels are kept.
      name: the distribution's name.
      version: its version.
      files: where each file is installed, by its path within the packages, and where it is here.
      requires: what is installed with it, as requirements.
      requires_python: the Pythons that it is for.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Python: {requires_python}"] if requires_python else []
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    contents = {path: files[path].read_bytes() for path in sorted(files)}
    contents[f"{stem}.dist-info/METADATA"] = _text(metadata)
    contents[f"{stem}.dist-info/WHEEL"] = _text(
        ["Wheel-Version: 1.0", "Generator: lit-precompute", "Root-Is-Purelib: true", "Tag: py3-none-any"]
    )
    record = f"{stem}.dist-info/RECORD"
    contents[record] = _text([*(_record_of(path, data) for path, data in contents.items()), f"{record},,"])
    data = _zip(contents)
    wheel = folder / hashlib.sha256(data).hexdigest()[:16] / f"{stem}-py3-none-any.whl"
    if not wheel.exists():
        wheel.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(wheel, data)
    return wheel


def _text(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _record_of(path: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}"


def _zip(contents: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in contents.items():
            entry = zipfile.ZipInfo(path, _LONG_AGO)
            entry.external_attr = _MODE
            entry.create_system = 3  # Unix, wherever it is written
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()
