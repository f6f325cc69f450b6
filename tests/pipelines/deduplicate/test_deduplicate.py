"""deduplicate: a selection whose counts and rows a plain loop finds, too, however the job runs."""

import dataclasses
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from lit_precompute.pipelines.deduplicate import DeduplicateOptions, deduplicate
from lit_precompute.pipelines.deduplicate.examples import find_examples
from lit_precompute.pipelines.phases.job import PhasedJobError
from lit_precompute.precompute.deriving.derivation import derive
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas import EmbeddingDataset, TowerCard
from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.storage import DatasetError, open_folder
from tests.precompute.duplicates.making import clusters, cosines, first_kept, write_rows
from tests.schemas.making import card

ROOT = pathlib.Path(__file__).parents[3]
ROWS, EVALUATION, OTHER = clusters(150), clusters(40, seed=1), clusters(20, seed=2)
THRESHOLD = 0.95

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    for name, rows in {"rows": ROWS, "evaluation": EVALUATION, "other": OTHER}.items():
        write_rows(folder / name, rows, prefix=name)
    return folder


def _options(folder, output, **changes):
    paths = (str(folder / "evaluation"), str(folder / "other"))
    given = {"dataset": str(folder / "rows"), "output": str(output), "against": paths, "within": True}
    return DeduplicateOptions(**{**given, "threshold": THRESHOLD, "slab_rows": 40, **changes})


def test_counts_and_rows_match_scikit_learn(folder, tmp_path):
    selection = deduplicate(_options(folder, tmp_path / "clean.selection"))
    similar = [cosines(ROWS, other) >= THRESHOLD for other in (EVALUATION, OTHER)]
    removed = np.any([each.any(axis=1) for each in similar], axis=0)
    stays = first_kept(cosines(ROWS, ROWS) >= THRESHOLD, removed)
    np.testing.assert_array_equal(selection.mask(0, len(ROWS)), stays)
    made_by = selection.made_by
    counts = [(each["path"], each["num_rows"], each["removed"], each["matched"]) for each in made_by["against"]]
    assert counts == [
        (str(folder / name), len(rows), each.any(axis=1).sum(), each.any(axis=0).sum())
        for name, rows, each in zip(("evaluation", "other"), (EVALUATION, OTHER), similar, strict=True)
    ]
    assert made_by["removed_against"] == removed.sum()
    assert made_by["num_removed"] == (~stays).sum() == removed.sum() + made_by["within"]["removed"]
    assert [path.name for path in tmp_path.iterdir()] == ["clean.selection"]
    with EmbeddingDataset.open(folder / "rows") as dataset:
        selection.check(dataset.manifest)


@pytest.mark.parametrize("vector_type", ["float16", "bfloat16", "int8"])
def test_rows_are_compared_as_stored(tmp_path, vector_type):
    path = write_rows(tmp_path / "rows", ROWS, vector_type=vector_type)
    options = DeduplicateOptions(dataset=path, output=str(tmp_path / "x.selection"), within=True, threshold=0.97)
    with EmbeddingDataset.open(path) as dataset:
        stored = dataset.rows(0, len(ROWS)).vectors()
    stays = first_kept(cosines(stored, stored) >= 0.97, np.zeros(len(ROWS), bool))
    np.testing.assert_array_equal(deduplicate(options).mask(0, len(ROWS)), stays)


def test_an_interrupted_job_is_resumed_and_gives_the_same_bytes(folder, tmp_path):
    deduplicate(_options(folder, tmp_path / "whole.selection"))
    seen = []

    def interrupt(progress):
        seen.append(progress.done)
        if progress.done > progress.size / 2:
            raise KeyboardInterrupt

    options = _options(folder, tmp_path / "stopped.selection")
    with pytest.raises(KeyboardInterrupt):
        deduplicate(options, report=interrupt)
    assert not (tmp_path / "stopped.selection").exists()
    resumed = []
    deduplicate(options, report=lambda progress: resumed.append(progress.done_before))
    assert resumed[0] > 0
    assert (tmp_path / "stopped.selection").read_bytes() == (tmp_path / "whole.selection").read_bytes()


_KILLED = """
import os, sys
from lit_precompute.pipelines.deduplicate import DeduplicateOptions, deduplicate
from lit_precompute.schemas.storage.local_folder import LocalFolder
writes, left = LocalFolder.write, [int(sys.argv[1])]
def write(folder, name, data):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    writes(folder, name, data)
LocalFolder.write = write
deduplicate(DeduplicateOptions(**eval(sys.argv[2])))
"""


@pytest.mark.slow
def test_a_killed_job_is_resumed_and_gives_the_same_bytes(folder, tmp_path):
    """Killed at every write in turn: of each slab's findings, and of the selection."""
    deduplicate(_options(folder, tmp_path / "whole.selection"))
    options = _options(folder, tmp_path / "killed.selection")
    statuses = []
    for writes_left in (0, 1, 1, 1, 9):
        command = [sys.executable, "-W", "ignore", "-c", _KILLED, str(writes_left), repr(dataclasses.asdict(options))]
        statuses.append(subprocess.run(command, check=False, cwd=ROOT).returncode)
    assert statuses == [9, 9, 9, 9, 0]
    assert (tmp_path / "killed.selection").read_bytes() == (tmp_path / "whole.selection").read_bytes()
    assert not (tmp_path / "killed.selection.work").exists()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["multi_processing", "multi_threading"])
def test_two_workers_give_the_same_bytes(folder, tmp_path, monkeypatch, mode):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    deduplicate(_options(folder, tmp_path / "here.selection"))
    told = []
    flags = ["--runner=FnApiRunner", "--direct_num_workers=2", f"--direct_running_mode={mode}"]
    deduplicate(_options(folder, tmp_path / "there.selection"), beam_flags=flags, report=told.append)
    assert (tmp_path / "there.selection").read_bytes() == (tmp_path / "here.selection").read_bytes()
    assert told[-1].done == told[-1].size == 150 * 60 + 150 * 149 // 2


@pytest.mark.slow
def test_a_worker_that_fails_says_why_in_a_sentence_and_what_is_finished_is_kept(folder, tmp_path):
    write_rows(tmp_path / "rows", ROWS)
    options = dataclasses.replace(_options(folder, tmp_path / "x.selection"), dataset=str(tmp_path / "rows"))
    file = next((tmp_path / "rows/embeddings").iterdir())
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(PhasedJobError, match=r"compare \d: .*part-00000.*verify the dataset.*Finished parts are kept"):
        deduplicate(options, beam_flags=["--runner=FnApiRunner"])


def test_the_same_command_again_finds_the_selection(folder, tmp_path):
    options = _options(folder, tmp_path / "x.selection")
    first = deduplicate(options)
    again = deduplicate(options, report=lambda progress: pytest.fail("nothing is left to do"))
    assert again.digest == first.digest


def test_another_selection_and_another_job_are_not_replaced(folder, tmp_path):
    options = _options(folder, tmp_path / "x.selection")
    deduplicate(options)
    with pytest.raises(ValueError, match=r"is another selection; remove it, or choose another --output"):
        deduplicate(dataclasses.replace(options, threshold=0.9))
    (tmp_path / "x.selection").unlink()

    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deduplicate(options, report=interrupt)
    with pytest.raises(ClaimError, match=r"--threshold is 0.95 there, 0.9 was requested"):
        deduplicate(dataclasses.replace(options, threshold=0.9))


def test_datasets_of_different_networks_are_refused(folder, tmp_path):
    def tower(**changes):
        architecture = {"family": "vit", "resolution": 8, "compute_type": "float32", "depth": 2, **changes}
        content = card(24).model_dump() | {"architecture": architecture, "fingerprint": f"{len(str(changes)):064d}"}
        return TowerCard.model_validate(content)

    write_rows(tmp_path / "rows", ROWS, tower=tower())
    write_rows(tmp_path / "other", OTHER, tower=tower(depth=3))
    write_rows(tmp_path / "larger", OTHER, tower=tower(resolution=16))
    options = _options(tmp_path, tmp_path / "x.selection", against=(str(tmp_path / "other"),))
    with pytest.raises(DatasetError, match=r"architecture.depth is 2 in .*rows, 3 in .*other; embed the images of"):
        deduplicate(options)
    said = []
    deduplicate(dataclasses.replace(options, against=(str(tmp_path / "larger"),)), say=said.append)
    assert len(said) == 1 and "resolution is 8" in said[0]
    options = _options(folder, tmp_path / "y.selection", against=(str(tmp_path / "other"),))
    with pytest.raises(DatasetError, match=r"its tower has the fingerprint .* does not describe the network"):
        deduplicate(options)


def test_a_declared_tower_is_to_be_verified_first(folder, tmp_path):
    declared = TowerCard.declare("somebody's", 24)
    write_rows(tmp_path / "other", OTHER, tower=declared)
    options = _options(folder, tmp_path / "x.selection", against=(str(tmp_path / "other"),))
    with pytest.raises(DatasetError, match=r"other: its tower is declared, .*; verify it with lit-data probe .*other "):
        deduplicate(options)


def test_another_table_is_compared_with_the_same_or_the_only_one_of_evaluation_datasets(tmp_path):
    """Of a dataset with two towers the second: as if it were the first of one that has nothing else."""
    first, second = card(24, "a" * 64), card(24, "b" * 64)
    for name, rows, tower in (("first", ROWS[::-1].copy(), first), ("rows", ROWS, second), ("other", OTHER, second)):
        write_rows(tmp_path / name, rows, tower=tower)
    base, added = str(tmp_path / "first"), (f"b={tmp_path / 'rows'}",)
    derive(DeriveOptions(base=base, output=str(tmp_path / "both"), embeddings=added))
    against = (str(tmp_path / "other"),)
    wanted = deduplicate(_options(tmp_path, tmp_path / "x.selection", against=against))
    both = str(tmp_path / "both")
    options = _options(tmp_path, tmp_path / "y.selection", against=against, dataset=both, table="embeddings-b")
    found = deduplicate(options)
    assert found.num_selected == wanted.num_selected < len(ROWS)
    assert found.made_by["against"] == wanted.made_by["against"]
    assert found.made_by["deduplicated"]["table"] == "embeddings-b"
    assert "table" not in wanted.made_by["deduplicated"]
    with pytest.raises(DatasetError, match=r"both: has no table of embeddings 'embeddings-c'; it has embeddings, emb"):
        deduplicate(dataclasses.replace(options, table="embeddings-c", output=str(tmp_path / "z.selection")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"against": (), "within": False}, r"nothing to compare with: give --against EVAL\.\.\., --within, or both"),
        ({"threshold": 0.0}, r"--threshold must be above 0 and at most 1, got 0.0"),
        ({"threshold": float("nan")}, r"--threshold must be above 0 and at most 1, got nan"),
        ({"output": "out"}, r"--output out: a selection's name must end in .selection"),
        ({"against": ("a", "a")}, r"--against a: is given twice"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(folder, changes, message):
    with pytest.raises(ValueError, match=message):
        _options(folder, **{"output": "x.selection", **changes})


def test_datasets_and_selections_may_be_in_a_store(bucket):
    write_rows(f"{bucket}/rows", ROWS)
    write_rows(f"{bucket}/evaluation", EVALUATION)
    options = DeduplicateOptions(
        dataset=f"{bucket}/rows", output=f"{bucket}/x.selection", against=(f"{bucket}/evaluation",), slab_rows=64
    )
    selection = deduplicate(options)
    similar = cosines(ROWS, EVALUATION) >= 0.95
    np.testing.assert_array_equal(selection.mask(0, len(ROWS)), ~similar.any(axis=1))
    assert Selection.open(f"{bucket}/x.selection").digest == selection.digest
    assert not open_folder(f"{bucket}/x.selection.work").find()


def test_examples_are_pairs_with_keys_and_texts(folder, tmp_path):
    options = _options(folder, tmp_path / "x.selection")
    compared = find_examples(options, deduplicate(options))
    assert [pathlib.Path(each.path or "").name for each in compared] == ["evaluation", "other", ""]
    for each, others in zip(compared, (EVALUATION, OTHER, ROWS), strict=True):
        assert each.pairs
        for pair in each.pairs:
            row, other = (int(key.rpartition("-")[2]) for key in (pair.row.key, pair.other.key))
            assert pair.cosine == pytest.approx(cosines(ROWS[[row]], others[[other]])[0, 0], abs=1e-11)
            assert pair.cosine >= THRESHOLD - 0.11
            assert pair.other.texts == [f"text of {pair.other.key}"]
