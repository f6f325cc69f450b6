"""`lit-data import` and `lit-data export`, as users run them: on disk, in stores, killed and run again."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lit_precompute.commands.data import main
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.storage import open_folder
from tests.precompute.exchange.making import keys, vectors, write_clip_retrieval, write_dataset
from tests.schemas.making import files_of


def run(monkeypatch, capsys, *arguments):
    """Runs lit-data; returns its exit status, output and errors."""
    monkeypatch.setattr("sys.argv", ["lit-data", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    shown = capsys.readouterr()
    return end.value.code, shown.out, shown.err


def test_says_what_was_imported_and_what_is_not_known(tmp_path, monkeypatch, capsys):
    written = write_clip_retrieval(tmp_path / "in", (10, 7))
    written[:10][3] = 0
    np.save(tmp_path / "in/img_emb/img_emb_0.npy", written[:10])
    arguments = ["import", "clip-retrieval", tmp_path / "in", "--output", tmp_path / "out", "--tower", "CLIP B/32"]
    status, out, _ = run(monkeypatch, capsys, *arguments)
    assert status == 0
    assert f"{tmp_path}/out: 16 rows = 17 read - 1 failed, in 2 shards; 17 rows in " in out
    assert "failed: 1 row zero" in out
    assert "the tower 'CLIP B/32' is declared, not verified: its weights and preprocessing are not known" in out
    status, out, _ = run(monkeypatch, capsys, *arguments)
    assert (status, "nothing was left to do" in out) == (0, True)
    _, out, _ = run(monkeypatch, capsys, "info", tmp_path / "out")
    assert "declared, not verified" in out


def test_says_what_was_exported_and_what_was_left_out(tmp_path, monkeypatch, capsys):
    write_dataset(tmp_path / "dataset", vector_type="int8")
    status, out, _ = run(monkeypatch, capsys, "export", "npy", tmp_path / "dataset", "--output", tmp_path / "out")
    assert status == 0
    assert f"{tmp_path}/out: 30 rows in 4 files" in out
    assert "converted: embeddings, int8 -> float32" in out
    assert "left out: table captions, which the layout has no place for" in out


def test_a_selection_of_another_dataset_is_named(tmp_path, monkeypatch, capsys):
    write_dataset(tmp_path / "one")
    write_dataset(tmp_path / "two", 12)
    some = tmp_path / "some.selection"
    assert run(monkeypatch, capsys, "select", tmp_path / "one", "--range", 0, 5, "--output", some)[0] == 0
    arguments = ("export", "npy", tmp_path / "two", "--selection", some, "--output", tmp_path / "out")
    status, _, err = run(monkeypatch, capsys, *arguments)
    assert (status, f"{some}: was made of the rows of another dataset" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "clip-retrieval", "nowhere", "--tower", "a"], "nowhere/img_emb: no files img_emb_N.npy"),
        (["import", "parquet", "nowhere", "--tower", "a"], "nowhere: no files that end in .parquet or .pq"),
        (["import", "npy", "nowhere", "--tower", "a"], "nowhere: no file embeddings.npy"),
        (["import", "datacomp", "nowhere"], "nowhere: no files HASH.parquet and HASH.npz"),
        (["import", "tfrecord", "nowhere", "--tower", "a"], "nowhere/*tfrecord*: no files"),
        (["import", "huggingface", "nowhere", "--tower", "a"], "nowhere/state.json"),
        (["import", "datacomp", "nowhere", "--arrays", "l14_txt"], "the first being one of images"),
        (["export", "npy", "nowhere"], "there is no directory"),
        (["import", "parquet", "nowhere", "--rows-per-shard", "0"], "--rows-per-shard must be >= 1, got 0"),
    ],
)
def test_wrong_input_is_one_message(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(monkeypatch, capsys, *arguments, "--output", "out")
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


_SLOW = [pytest.param(layout, marks=pytest.mark.slow) for layout in ("huggingface", "npy", "tfrecord")]


@pytest.mark.parametrize("layout", ["clip-retrieval", "parquet", *_SLOW])
def test_stores_work_as_paths_do(bucket, tmp_path, monkeypatch, capsys, layout):
    write_dataset(tmp_path / "dataset")
    options = [] if layout == "npy" else ["--rows-per-file", "12"]
    for output in (f"{bucket}/export", tmp_path / "export"):
        status, _, err = run(monkeypatch, capsys, "export", layout, tmp_path / "dataset", "--output", output, *options)
        assert status == 0, err
    folder = open_folder(f"{bucket}/export")
    assert {name: folder.read(name) for name in folder.find()} == files_of(tmp_path / "export")
    status, _, err = run(
        monkeypatch, capsys, "import", layout, f"{bucket}/export", "--output", f"{bucket}/back", "--tower", "a"
    )
    assert status == 0, err
    assert not open_folder(f"{bucket}/back").find("_work")
    with EmbeddingDataset.open(f"{bucket}/back", tables=["embeddings"]) as dataset:
        assert dataset.keys().to_pylist() == keys(0, 30)
        np.testing.assert_array_equal(dataset.rows(0, 30).vectors(), vectors(30))


def _start(*arguments):
    command = [sys.executable, "-m", "lit_precompute", "data", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_import_goes_on_and_gives_the_same_bytes(tmp_path, number):
    write_clip_retrieval(tmp_path / "in", (300, 200))
    arguments = ["import", "clip-retrieval", tmp_path / "in", "--tower", "a", "--rows-per-shard", "8", "--output"]
    whole = _start(*arguments, tmp_path / "whole")
    _, err = whole.communicate()
    assert whole.returncode == 0, err
    num_killed = 0
    for wanted in (2, 15, 40):
        job = _start(*arguments, tmp_path / "out")
        notes = tmp_path / "out/_work/import"
        while job.poll() is None and (not notes.is_dir() or len(list(notes.glob("*.json"))) < wanted):
            time.sleep(0.01)
        job.send_signal(number)
        _, err = job.communicate()
        num_killed += job.returncode != 0
        if number == signal.SIGTERM and job.returncode:
            assert job.returncode == 130
            assert err.endswith("interrupted; run the same command again to go on after the last finished shard\n")
    assert num_killed == 3
    last = _start(*arguments, tmp_path / "out")
    out, err = last.communicate()
    assert last.returncode == 0, err
    assert f"{tmp_path}/out: 500 rows = 500 read - 0 failed" in out
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
