"""The receipt's figures against scikit-learn's cosines and neighbours."""

import dataclasses
import json
import re
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

from lit_precompute.commands.data.info import describe_receipt
from lit_precompute.schemas import DatasetError, EmbeddingDataset
from lit_precompute.schemas.checking.receipt import compare, make_receipt
from lit_precompute.schemas.vectors import dequantise, quantise
from tests.schemas.making import change_manifest, rows, write

ROUND = {
    "float16": lambda x: x.astype(np.float16).astype(np.float32),
    "bfloat16": lambda x: x.astype(ml_dtypes.bfloat16).astype(np.float32),
    "int8": lambda x: dequantise(*quantise(x)),
    "coarse": lambda x: np.rint(x * 20) / np.float32(20),
}


def _drawn(count=64, width=24):
    """Embeddings so close together that rounding changes neighbours."""
    rng = np.random.default_rng(1)
    return (5 + 0.2 * rng.standard_normal((count, width))).astype(np.float32)


@pytest.mark.parametrize("name", ROUND)
@pytest.mark.parametrize("count", [64, 5, 2])
def test_agrees_with_scikit_learn(name, count):
    exact = _drawn(count)
    stored = ROUND[name](exact)
    receipt = compare(exact, stored)
    cosines = np.diag(cosine_similarity(exact.astype(np.float64), stored.astype(np.float64)))
    assert receipt.mean_cosine == pytest.approx(cosines.mean(), abs=1e-12)
    assert receipt.least_cosine == pytest.approx(cosines.min(), abs=1e-12)
    neighbours = min(10, count - 1)
    before, after = (
        NearestNeighbors(n_neighbors=neighbours, metric="cosine", algorithm="brute")
        .fit(vectors.astype(np.float64))
        .kneighbors(return_distance=False)
        for vectors in (exact, stored)
    )
    assert receipt.num_nearest_changed == (before[:, 0] != after[:, 0]).sum()
    overlap = np.mean([len(set(one) & set(other)) for one, other in zip(before, after, strict=True)]) / neighbours
    assert receipt.mean_overlap == pytest.approx(overlap)
    assert (receipt.num_probes, receipt.num_neighbours, receipt.is_exact) == (count, neighbours, False)
    if count == 64 and name in ("bfloat16", "coarse"):  # the test must be able to detect a change
        assert receipt.num_nearest_changed > 0


def test_exact_embeddings_change_nothing():
    receipt = compare(_drawn(), _drawn())
    assert receipt.is_exact
    assert (receipt.num_nearest_changed, receipt.mean_overlap) == (0, 1.0)
    assert receipt.least_cosine == pytest.approx(1, abs=1e-15)


def test_zeros_that_stay_zeros_are_no_loss_but_values_that_become_zero_are():
    exact = np.array([[0, 0], [1e-9, 0], [1, 1]], np.float32)
    assert compare(exact[[0, 2]], exact[[0, 2]]).least_cosine == pytest.approx(1)
    assert compare(exact, exact.astype(np.float16).astype(np.float32)).least_cosine == 0


def test_equal_rows_do_not_count_as_changed_neighbours():
    """Each of three equal rows has two nearest: which one counts must not depend on the last bit."""
    exact = np.repeat(_drawn(7, 301), 3, axis=0)
    receipt = compare(exact, ROUND["bfloat16"](exact))
    assert receipt.num_nearest_changed == 0


@pytest.mark.parametrize("vector_type", ["float32", "float16", "bfloat16", "int8"])
def test_a_datasets_receipt_is_of_its_probes(tmp_path, vector_type):
    write(tmp_path, 300, vector_type=vector_type)
    exact = rows(300)[1]
    with EmbeddingDataset.open(tmp_path) as dataset:
        numbers = [probe.row for probe in dataset.manifest.probes]
        assert len(numbers) == 64
        expected = compare(exact[numbers], dataset.rows(0, 300).vectors()[numbers])
        receipt = make_receipt(dataset)
        assert receipt == expected
        assert receipt.is_exact == (vector_type == "float32")
        lines = dict(describe_receipt(receipt, dataset.manifest))
    if vector_type == "float32":
        assert lines == {"receipt": "exact: float32 holds the tower's float32, on 64 probes"}
    else:
        assert lines["receipt"].startswith(f"{vector_type} to float32: cosine {receipt.mean_cosine:.8f}, least ")
        assert lines["receipt"].endswith(f"{receipt.least_cosine:.8f}")
        assert lines["neighbours"].startswith(f"nearest changed for {receipt.num_nearest_changed} of 64 probes; ")
        assert lines["neighbours"].endswith(f"; {receipt.mean_overlap:.1%} of the 10 kept")


def test_a_dataset_without_float32_vectors_says_so(tmp_path):
    write(tmp_path / "two", 0, failures=0)
    with EmbeddingDataset.open(tmp_path / "two") as dataset:
        assert make_receipt(dataset) is None
        ((_, words),) = describe_receipt(None, dataset.manifest)
        assert words == "none: the manifest keeps no float32 embeddings to compare with"
        ((_, words),) = describe_receipt(None, dataclasses.replace(dataset.manifest, format_version=1))
        assert words == "none: format version 1 keeps no float32 embeddings to compare with"


def test_a_probe_of_the_wrong_width_is_an_error(tmp_path):
    write(tmp_path)
    change_manifest(tmp_path, lambda m: m["probes"][2].update(vectors={"embeddings": "AAAA"}))
    with EmbeddingDataset.open(tmp_path) as dataset, pytest.raises(DatasetError, match="row 2: must hold 6 float32"):
        make_receipt(dataset)


@pytest.mark.slow
def test_the_command_shows_it(tmp_path):
    write(tmp_path, vector_type="int8")
    command = [sys.executable, "-m", "lit_precompute", "data", "info", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # Each on one line, which fits a terminal.
    assert re.search(r"^receipt +int8 to float32: cosine 0\.9\d+, least 0\.9\d+ *$", said, re.MULTILINE)
    assert re.search(
        r"^neighbours +nearest changed for \d+ of 50 probes; [\d.]+% of the 10 kept *$", said, re.MULTILINE
    )
    assert "embedding (int8[6]), embedding_scale" in said
    figures = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    with EmbeddingDataset.open(tmp_path) as dataset:
        assert figures["receipt"]["least_cosine"] == make_receipt(dataset).least_cosine
