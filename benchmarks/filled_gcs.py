"""The tests' fake GCS with objects in it from the start, run by `benchmarks/stores.py` in .venv-servers.

Takes a number of small objects `gs://source/train/00000.tar`, and a folder whose files become `gs://job/...`. A listing
is kept until an object is added, so that a page costs the server what it contains, as with a real store.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/stores"))

import run_gcs
from gcp_storage_emulator import storage as emulated
from gcp_storage_emulator.handlers import objects

_CONTENT = bytes(1024)
_get_file_list = emulated.Storage.get_file_list


def _listed_once(storage, bucket, *arguments, **options):
    key = (bucket, arguments, tuple(options.items()), len(storage.objects.get(bucket, ())))
    if key not in _kept:
        _kept.clear()
        _kept[key] = _get_file_list(storage, bucket, *arguments, **options)
    return _kept[key]


_kept = {}


def _put(storage, bucket, name, content):
    described = objects._make_object_resource("", bucket, name, "application/octet-stream", str(len(content)))
    storage.create_file(bucket, name, content, objects._checksums(content, described))


def _fill(storage):
    num_objects, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    for bucket in ("source", "job"):
        storage.create_bucket(bucket, {"name": bucket})
    for number in range(num_objects):
        _put(storage, "source", f"train/{number:05d}.tar", _CONTENT)
    for path in folder.rglob("*"):
        if path.is_file():
            _put(storage, "job", path.relative_to(folder).as_posix(), path.read_bytes())


if __name__ == "__main__":
    emulated.Storage.get_file_list = _listed_once
    emulated.Storage._write_config_to_file = lambda _: None
    sys.exit(run_gcs.main(_fill))
