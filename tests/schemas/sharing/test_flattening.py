"""A derived dataset with all that it refers to becomes one dataset of its own, which refers to nothing."""

import shutil

import numpy as np
import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset, Manifest
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.sharing.copying import copy_dataset
from lit_precompute.schemas.sharing.part import Part
from tests.schemas.making import files_of, write
from tests.schemas.reading.test_references import derive

FLAT = Part(is_flat=True)


@pytest.fixture
def derived(tmp_path):
    write(tmp_path / "base")
    derive(tmp_path / "derived", tmp_path / "base", "../base")
    return tmp_path / "derived"


def columns(path):
    with EmbeddingDataset.open(path) as dataset:
        found = dataset.rows(0, dataset.num_rows)
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value.to_pylist()
            for name, value in found.columns.items()
        }


def test_all_tables_are_there_without_what_it_referred_to(tmp_path, derived):
    expected, manifest = columns(derived), Manifest.read(derived)
    copy_dataset(derived, tmp_path / "flat", FLAT)
    shutil.rmtree(tmp_path / "base")
    shutil.rmtree(derived)
    assert columns(tmp_path / "flat") == expected
    assert verify(tmp_path / "flat") == []
    flat = Manifest.read(tmp_path / "flat")
    assert flat.references == [] and flat.job["copied_from"] == {"digest": manifest.digest, "flat": True}
    # Runs that were tuned on the derived dataset go on with this one.
    for table in manifest.tables:
        assert flat.table_digest(table.name) == manifest.table_digest(table.name)
    assert (flat.probes, flat.ledger, flat.towers) == (manifest.probes, manifest.ledger, manifest.towers)


def test_a_file_that_changed_is_never_part_of_it(tmp_path, derived):
    path = next((tmp_path / "base/embeddings").iterdir())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=f"{path}: SHA-256 must be"):
        copy_dataset(derived, tmp_path / "flat", FLAT)
    assert not (tmp_path / "flat/manifest.json").exists()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    copy_dataset(derived, tmp_path / "flat", FLAT)
    assert verify(tmp_path / "flat") == []


def test_a_whole_copy_of_the_derived_dataset_is_another_one(tmp_path, derived):
    copy_dataset(derived, tmp_path / "flat", FLAT)
    with pytest.raises(ValueError, match="has another dataset"):
        copy_dataset(derived, tmp_path / "flat")
    assert copy_dataset(derived, tmp_path / "flat", FLAT).was_there


def test_from_and_to_stores(derived, bucket):
    write(f"{bucket}/base")
    derive(f"{bucket}/derived", f"{bucket}/base", "../base")
    copy_dataset(f"{bucket}/derived", f"{bucket}/flat", FLAT)
    assert verify(f"{bucket}/flat") == []
    assert Manifest.read(f"{bucket}/flat").references == []


@pytest.mark.parametrize("version", ["dataset_v1/float16", "dataset_v2/int8"])
def test_tables_of_earlier_versions_get_the_names_of_version_3(tmp_path, version):
    shutil.copytree(f"tests/golden/{version}", tmp_path / "base")
    options = {"probes": []} if "v1" in version else {}
    options["block_rows"] = Manifest.read(tmp_path / "base").block_rows
    derive(tmp_path / "derived", tmp_path / "base", "../base", **options)
    copy_dataset(tmp_path / "derived", tmp_path / "flat", FLAT)
    assert columns(tmp_path / "flat") == columns(tmp_path / "derived")
    assert verify(tmp_path / "flat") == []
    assert not any("-of-" in name for name in files_of(tmp_path / "flat"))


def test_a_dataset_that_refers_to_nothing_is_copied_as_it_is(tmp_path, derived):
    copy_dataset(tmp_path / "base", tmp_path / "flat", FLAT)
    assert files_of(tmp_path / "flat") == files_of(tmp_path / "base")
