"""`lit-data verify` on a disk and in stores: every kind of damage is found, named, and told by the exit status."""

import json

import pytest

from lit_precompute.schemas.storage import open_folder
from tests.faults.points import seeded
from tests.schemas.making import write

pytestmark = pytest.mark.slow

NUM_FLIPS = 100


@pytest.fixture(scope="module")
def dataset(undisturbed):
    """A dataset of three shards of two blocks and more in the place, its folder, and its files."""
    url = f"{undisturbed.place}/dataset"
    write(url)
    folder = open_folder(url)
    return url, folder, {name: folder.read(name) for name in folder.find()}


@pytest.fixture
def faults_of(dataset, forks):
    """Returns a function that verifies the dataset after some files were changed (None: removed), and restores it."""
    url, folder, files = dataset

    def faults_of(changes):
        for name, data in changes.items():
            folder.remove(name) if data is None else folder.write(name, data)
        ended = forks.run("lit-data", "verify", url)
        for name in changes:
            folder.write(name, files[name]) if name in files else folder.remove(name)
        assert ended.status in (0, 1), ended.said
        assert "Traceback" not in ended.said
        return "" if ended.status == 0 else "".join(ended.said.split())

    return faults_of


def _named(dataset, name):
    return f"{dataset[0]}/{name}"


def test_a_sound_dataset(faults_of):
    assert faults_of({}) == ""


def test_flipped_bytes(dataset, faults_of, seed, scaled, counted):
    generator = seeded(seed, "flips")
    files = dataset[2]
    for number in range(max(scaled(NUM_FLIPS), 3)):
        # In each kind of file in turn: a shard of blocks, a manifest, a list.
        kind = ("/", "manifest.json", "shards-", "source-")[number % 4]
        name = generator.choice([name for name in files if kind in name])
        data = bytearray(files[name])
        place = generator.randrange(len(data))
        data[place] ^= 1 << generator.randrange(8)
        assert name in faults_of({name: bytes(data)}), (name, place)
        counted["flipped bytes"] += 1


def test_swapped_missing_and_extra_shards(dataset, faults_of):
    one, two = "captions/part-00000.arrayrecord", "captions/part-00001.arrayrecord"
    files = dataset[2]
    found = faults_of({one: files[two], two: files[one]})
    assert f"{_named(dataset, one)}:" in found
    assert f"{_named(dataset, two)}:" in found
    assert f"{_named(dataset, two)}:thefileismissing" in faults_of({two: None})
    for extra in ("captions/part-00003.arrayrecord", "captions/part-00000.arrow", "other/part-00000.arrow"):
        assert f"{_named(dataset, extra)}:notafileofthisdataset" in faults_of({extra: files[one]})
    assert f"{_named(dataset, one)}:musthave" in faults_of({one: files[one][:-1]})
    assert _named(dataset, one) in faults_of({one: b""})


def test_edited_manifests_and_lists(dataset, faults_of):
    files = dataset[2]
    (shards,) = (name for name in files if name.startswith("shards-"))
    (source,) = (name for name in files if name.startswith("source-"))
    manifest = json.loads(files["manifest.json"])
    for change in (
        {"ledger": manifest["ledger"] | {"rows_written": 49, "rows_failed": 3}},
        {"block_rows": 16},
        {"order": "shuffled"},
        {"notes": [{"what": "w", "count": 1, "first": "f"}]},
    ):
        assert "manifest.json:" in faults_of({"manifest.json": json.dumps(manifest | change).encode()}), change
    for name in (shards, source):
        assert name in faults_of({name: files[name][:-8] + bytes(8)})
        assert name in faults_of({name: None})
    assert shards in faults_of({shards: files[source]})
    assert "manifest.json:missing" in faults_of({"manifest.json": None})
