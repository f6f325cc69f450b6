"""shuffle: the dataset that a writer would have written of the rows in the new order, however the job runs."""

import dataclasses
import pathlib
import random
import subprocess
import sys
import time

import numpy as np
import pytest

from lit_precompute.pipelines.shuffle import ShuffleOptions, shuffle
from lit_precompute.schemas import EmbeddingDataset, Manifest
from lit_precompute.schemas.checking.receipt import make_receipt
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.sharing.shuffling.permutation import Permutation
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import FAILURES
from tests.pipelines.shuffle.making import write_dataset
from tests.schemas.making import files_of

ROOT = pathlib.Path(__file__).parents[3]
GOLDEN = ROOT / "tests/golden"

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


def _options(dataset, output, **changes):
    return ShuffleOptions(
        **{"dataset": str(dataset), "output": str(output), "seed": 3, "rows_per_shard": 30, **changes}
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("datasets") / "dataset")


@pytest.mark.parametrize("vector_type", ["float32", "float16", "bfloat16", "int8"])
def test_tables_have_the_bytes_that_a_writer_gives_the_rows_in_the_new_order(tmp_path, vector_type):
    write_dataset(tmp_path / "dataset", vector_type=vector_type)
    manifest = shuffle(_options(tmp_path / "dataset", tmp_path / "shuffled"))
    order = np.argsort(Permutation(3, 75).places(np.arange(75))).tolist()
    write_dataset(tmp_path / "expected", order=order, vector_type=vector_type, rows_per_shard=30)
    expected, found = files_of(tmp_path / "expected"), files_of(tmp_path / "shuffled")
    folders = ("embeddings/", "captions/", "labels/", "embeddings-flip/", "attachments/")
    for name, data in expected.items():
        if name.startswith(folders):
            assert found[name] == data, name
    assert {name for name in found if "/" in name} >= {name for name in expected if name.startswith(folders)}
    assert verify(tmp_path / "shuffled") == []
    assert (manifest.order, len(manifest.shards), manifest.num_rows) == ("shuffled", 3, 75)


def test_cards_ledger_failures_notes_and_attachments_stay(dataset, tmp_path):
    before, manifest = Manifest.read(dataset), shuffle(_options(dataset, tmp_path / "out"))
    assert manifest.towers == before.towers
    assert manifest.ledger == before.ledger
    assert manifest.notes == before.notes
    assert manifest.attachments == before.attachments
    assert manifest.source.info() == before.source.info()
    assert list(manifest.tables) == list(before.tables)
    assert manifest.shards.environments == before.shards.environments
    assert manifest.job["shuffled"] == {"digest": before.digest, "seed": 3, "rows_per_shard": 30}
    with EmbeddingDataset.open(dataset) as old, EmbeddingDataset.open(tmp_path / "out") as new:
        assert new.failures().equals(old.failures())
        assert new.attachment("classes.txt") == b"dog\ncat\n"
    assert manifest.shards.rows_of(FAILURES).tolist() == [2, 2, 1]


def test_probes_are_the_same_rows_by_their_new_numbers(dataset, tmp_path):
    before, manifest = Manifest.read(dataset), shuffle(_options(dataset, tmp_path / "out"))
    assert {probe.key: probe.vectors for probe in manifest.probes} == {p.key: p.vectors for p in before.probes}
    with EmbeddingDataset.open(tmp_path / "out") as new, EmbeddingDataset.open(dataset) as old:
        assert all(new.row_of(probe.key) == probe.row for probe in manifest.probes)
        receipts = [make_receipt(each) for each in (old, new)]
    assert receipts[0].least_cosine == receipts[1].least_cosine


def test_every_row_keeps_what_is_its_own(dataset, tmp_path):
    shuffle(_options(dataset, tmp_path / "out"))
    with EmbeddingDataset.open(tmp_path / "out") as new, EmbeddingDataset.open(dataset) as old:
        keys = old.keys().to_pylist()
        assert new.keys().to_pylist() != keys
        rows = {row["key"]: row for row in old.take(np.arange(75)).to_rows()}
        for row in new.take(np.arange(75)).to_rows():
            expected = rows.pop(row["key"])
            np.testing.assert_array_equal(row.pop("embedding"), expected.pop("embedding"))
            assert row == expected
    assert not rows


@pytest.mark.parametrize("rows_per_shard", [1, 7, 75, 1000])
def test_shards_have_the_rows_asked_for(dataset, tmp_path, rows_per_shard):
    manifest = shuffle(_options(dataset, tmp_path / "out", rows_per_shard=rows_per_shard))
    assert verify(tmp_path / "out") == []
    assert set(manifest.shards.num_rows.tolist()[:-1]) <= {rows_per_shard}


@pytest.mark.parametrize("name", ["dataset_v1/float16", "dataset_v2/int8", "dataset_v3/base", "dataset_v3/derived"])
def test_earlier_versions_and_derived_datasets_become_datasets_of_their_own(tmp_path, name):
    manifest = shuffle(_options(GOLDEN / name, tmp_path / "out", rows_per_shard=3))
    assert verify(tmp_path / "out") == []
    assert not manifest.references
    assert manifest.ledger == Manifest.read(GOLDEN / name).ledger


def test_rows_of_several_environments_name_all(tmp_path):
    manifest = shuffle(_options(GOLDEN / "dataset_v3/base", tmp_path / "out"))
    (environment,) = manifest.shards.environments
    assert environment.device == "NVIDIA H100 80GB HBM3 and cpu"


def test_tables_with_different_keys_are_refused(tmp_path):
    write_dataset(tmp_path / "one")
    write_dataset(tmp_path / "other", order=list(range(74, -1, -1)))
    for path in (tmp_path / "other/labels").iterdir():
        (tmp_path / "one/labels" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DatasetError):
        shuffle(_options(tmp_path / "one", tmp_path / "out"))
    assert not (tmp_path / "out/manifest.json").exists()


_COMMAND = """
import sys
from lit_precompute.pipelines.shuffle import ShuffleOptions, shuffle
shuffle(ShuffleOptions(**eval(sys.argv[1])))
"""


@pytest.mark.slow
def test_kills_at_random_moments_leave_a_job_that_is_resumed_to_the_same_bytes(tmp_path):
    """Small pieces, so that a kill meets each of: reading, writing, publishing."""
    write_dataset(tmp_path / "dataset", 4000, rows_per_shard=100)
    whole = _options(tmp_path / "dataset", tmp_path / "whole", rows_per_shard=25)
    shuffle(whole)
    options = dataclasses.replace(whole, output=str(tmp_path / "killed"))
    command = [sys.executable, "-W", "ignore", "-c", _COMMAND, repr(dataclasses.asdict(options))]
    generator, kills = random.Random(1), 0
    for _ in range(12):
        process = subprocess.Popen(command, cwd=ROOT)
        until = time.monotonic() + 600
        while process.poll() is None and not (tmp_path / "killed/_work/job.json").exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.6))
        if process.poll() is None:
            process.kill()
            kills += 1
        process.wait()
        if (tmp_path / "killed/manifest.json").exists():
            break
    assert kills >= 1
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["multi_processing", "multi_threading"])
def test_two_workers_give_the_same_bytes(dataset, tmp_path, monkeypatch, mode):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shuffle(_options(dataset, tmp_path / "here"))
    told = []
    flags = ["--runner=FnApiRunner", "--direct_num_workers=2", f"--direct_running_mode={mode}"]
    shuffle(_options(dataset, tmp_path / "there"), beam_flags=flags, report=told.append)
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")
    assert (told[-1].phase, told[-1].done, told[-1].size) == ("gather", 75, 75)


def test_datasets_in_stores_are_read_and_written(bucket, dataset, tmp_path):
    write_dataset(f"{bucket}/dataset")
    manifest = shuffle(_options(f"{bucket}/dataset", f"{bucket}/shuffled"))
    assert manifest == shuffle(_options(dataset, tmp_path / "out"))
    assert verify(f"{bucket}/shuffled") == []


def test_the_same_command_again_does_nothing(dataset, tmp_path):
    first = shuffle(_options(dataset, tmp_path / "out"))
    again = shuffle(_options(dataset, tmp_path / "out"), report=lambda progress: pytest.fail("nothing is left to do"))
    assert again == first


def test_an_output_belongs_to_one_job(dataset, tmp_path):
    shuffle(_options(dataset, tmp_path / "out"))
    with pytest.raises(ClaimError, match=r"--seed is 3 there, 4 was requested. Choose another --output"):
        shuffle(_options(dataset, tmp_path / "out", seed=4))
    with pytest.raises(ClaimError, match=r"contains a finished dataset, and datasets never change"):
        shuffle(_options(tmp_path / "out", dataset))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(ClaimError, match=r"contains files that do not belong to a job \(notes.txt\)"):
        shuffle(_options(dataset, tmp_path / "other"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"seed": -1}, "--seed must be >= 0, got -1"), ({"rows_per_shard": 0}, "--rows-per-shard must be >= 1, got 0")],
)
def test_options_that_cannot_be_meant_are_refused(dataset, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        shuffle(_options(dataset, tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()
