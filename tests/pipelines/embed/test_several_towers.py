"""Several towers in one pass over the images: each dataset is that of a job with its tower alone."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.reporting.job_report import read_report
from lit_precompute.precompute.images import ahead
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.storage import open_folder
from tests.pipelines.embed import second_tower
from tests.pipelines.embed.making import BAD, arguments, run, write_source
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME as FIRST
from tests.towers.tiny_tower import write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]
SECOND, FOLDER = second_tower.NAME, second_tower.FOLDER
NUM_IMAGES = 25


class _Source:
    """A table of images, one of them a strip, and the weights of both towers."""

    def __init__(self, folder):
        self.table = write_source(folder, NUM_IMAGES - 1)
        stream = io.BytesIO()
        Image.fromarray(np.zeros((1, 70_000, 3), np.uint8)).save(stream, "PNG")
        (folder / "strip.png").write_bytes(stream.getvalue())
        with self.table.open("a") as table:
            table.write("strip.png\tlong\teven\n")
        self.weights = {FIRST: write_weights(folder / "weights.npz")}
        self.weights[SECOND] = second_tower.write_second_weights(folder / "second.npz")

    def command(self, output, towers=(FIRST, SECOND), **options):
        """Returns the arguments of a job of several towers."""
        given = arguments(self.table, output, self.weights[FIRST], **options)
        for flag in ("--tower", "--weights"):
            place = given.index(flag)
            del given[place : place + 2]
        return [*given, "--towers", ",".join(f"{name}@{self.weights[name]}" for name in towers)]

    def alone(self, output, tower, **options):
        """Returns the arguments of a job of one of them."""
        return arguments(self.table, output, self.weights[tower], tower=tower, **options)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return _Source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def alone(source, tmp_path_factory):
    """The files of each tower's dataset, by the name of its folder."""
    output = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for folder, tower in ((FIRST, FIRST), (FOLDER, SECOND)):
            assert run(monkeypatch, *source.alone(output / folder, tower, views=1)) == 0
    return {folder: files_of(output / folder) for folder in (FIRST, FOLDER)}


def _files(output):
    return {folder.name: files_of(folder) for folder in output.iterdir()}


def test_one_pass_gives_the_datasets_of_two_jobs_and_decodes_each_image_once(source, alone, tmp_path, monkeypatch):
    opened, open_image = [], ahead.open_image

    def count(data, **options):
        opened.append(data)
        return open_image(data, **options)

    monkeypatch.setattr(ahead, "open_image", count)
    assert run(monkeypatch, *source.command(tmp_path / "out", views=1)) == 0
    assert _files(tmp_path / "out") == alone
    assert len(opened) == NUM_IMAGES + len(BAD) - 1  # all but the missing one
    for folder, num_failures in ((FIRST, len(BAD)), (FOLDER, len(BAD) + 1)):
        assert verify(tmp_path / "out" / folder) == []
        with EmbeddingDataset.open(tmp_path / "out" / folder) as dataset:
            failed = dataset.failures().to_pylist()
        assert len(failed) == num_failures
        report = read_report(open_folder(tmp_path / "out" / folder))
        assert (report.rows_read, report.rows_failed) == (NUM_IMAGES + len(BAD), num_failures)
        assert ("strip.png" in {row["key"] for row in failed}) == (folder == FOLDER)


def test_each_job_resumes_the_other_kind(source, alone, tmp_path, monkeypatch, capsys):
    """Two towers are stopped, one of them is finished alone, then both are asked for again."""
    output = tmp_path / "out"
    assert run(monkeypatch, *source.command(output, views=1, max_failures=1)) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"{output}/{FIRST}: " in said and f"{output}/{FOLDER}: " in said
    shards = {folder: len(list((output / folder / "_work/shards").iterdir())) for folder in (FIRST, FOLDER)}
    assert all(0 < count < 4 for count in shards.values())
    assert run(monkeypatch, *source.alone(output / FIRST, FIRST, views=1)) == 0
    assert run(monkeypatch, *source.command(output, views=1)) == 0
    assert _files(output) == alone
    capsys.readouterr()
    assert run(monkeypatch, *source.command(output, views=1)) == 0
    assert capsys.readouterr().out.count("nothing was left to do") == 2


def test_a_tower_that_is_asked_for_later_joins_a_finished_one(source, alone, tmp_path, monkeypatch):
    assert run(monkeypatch, *source.alone(tmp_path / "out" / FIRST, FIRST, views=1)) == 0
    before = (tmp_path / "out" / FIRST / "manifest.json").stat().st_mtime_ns
    assert run(monkeypatch, *source.command(tmp_path / "out", views=1)) == 0
    assert _files(tmp_path / "out") == alone
    assert (tmp_path / "out" / FIRST / "manifest.json").stat().st_mtime_ns == before


def test_a_limit_of_failures_stops_the_dataset_that_exceeds_it(source, alone, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, *source.command(tmp_path / "out", views=1, max_failures=len(BAD))) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"{FOLDER}: {len(BAD) + 1} rows failed, --max-failures allows {len(BAD)}" in said
    assert files_of(tmp_path / "out" / FIRST) == alone[FIRST]
    assert not (tmp_path / "out" / FOLDER / "manifest.json").exists()


def test_status_and_cancel_show_and_stop_all(source, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out"
    assert run(monkeypatch, *source.command(output, max_failures=1)) == 1
    capsys.readouterr()
    assert run(monkeypatch, "status", output) == 0
    said = capsys.readouterr().out
    assert f"{output / FIRST}: unfinished" in said and f"{output / FOLDER}: unfinished" in said
    assert run(monkeypatch, "status", output, "--json") == 0
    assert [each["state"] for each in json.loads(capsys.readouterr().out)] == ["unfinished"] * 2
    assert run(monkeypatch, "cancel", output) == 0
    assert all(JobDirectory(str(output / folder)).is_stop_requested() for folder in (FIRST, FOLDER))
    assert run(monkeypatch, *source.command(output)) == 0
    capsys.readouterr()
    assert run(monkeypatch, "cancel", output) == 2
    assert "all jobs here are finished" in capsys.readouterr().err
    assert run(monkeypatch, "status", tmp_path) == 2
    assert "no job has begun here" in capsys.readouterr().err


def test_options_of_each_tower(source, tmp_path, monkeypatch):
    """The same tower in two ways, the second with an option of its own."""
    command = source.command(tmp_path / "out", [FIRST])
    command[-1] += f",{FIRST}@{source.weights[FIRST]}+compute-type=bfloat16"
    assert run(monkeypatch, *command) == 0
    types = {}
    for folder in (tmp_path / "out").iterdir():
        with EmbeddingDataset.open(folder) as dataset:
            types[folder.name] = dataset.manifest.tower.architecture["compute_type"]
    assert types == {FIRST: "float32", f"{FIRST}-bfloat16": "bfloat16"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--tower", FIRST, "--towers", SECOND], f"--tower {FIRST} and --towers {SECOND}: give one"),
        ([], "--tower is missing: give a name of"),
        (["--towers", f"{FIRST},{FIRST}@other.npz"], f"two datasets would be {FIRST} in "),
        (["--towers", f"{FIRST},"], r"must be NAME[@WEIGHTS][+OPTION=VALUE], separated by commas, got ''"),
        (["--towers", f"{FIRST}+pooling=all+resolution=wide"], "+resolution=wide: resolution must be"),
        (["--towers", f"{FIRST}+compute-type=int8"], "compute_type must be"),
        (["--towers", FIRST, "--weights", "w.npz"], "with --towers, weights follow a name: NAME@WEIGHTS"),
    ],
)
def test_what_is_not_several_towers_is_refused(source, tmp_path, monkeypatch, capsys, change, message):
    command = source.command(tmp_path / "out")[:-2]
    assert run(monkeypatch, *command, *change) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_an_output_of_one_tower_does_not_contain_several(source, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, *source.alone(tmp_path / "out", FIRST)) == 0
    assert run(monkeypatch, *source.command(tmp_path / "out")) == 2
    assert "is a dataset or a job of one tower" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_workers_elsewhere_embed_with_both_towers(source, alone, tmp_path, monkeypatch, capfd):
    """Dask's workers look into the files first; their modules register the towers."""
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    module = "tests.pipelines.embed.second_tower"
    command = source.command(tmp_path / "out", views=1)
    command[-1] = ",".join(f"{module}:{name}@{weights}" for name, weights in source.weights.items())
    assert run(monkeypatch, *command, "--runner=DaskRunner") == 0
    assert capfd.readouterr().err == ""
    found = {folder.name.rpartition(f"{module}-")[2]: files_of(folder) for folder in (tmp_path / "out").iterdir()}
    assert found == alone


def test_failed_rows_are_attempted_again_in_each_dataset_that_has_them(source, alone, tmp_path, monkeypatch, capsys):
    """One of them was made when an image was missing; the other is complete, and stays as it is."""
    image = source.table.parent / "010.png"
    image.rename(tmp_path / "away.png")
    try:
        assert run(monkeypatch, *source.alone(tmp_path / "out" / FOLDER, SECOND, views=1)) == 0
    finally:
        (tmp_path / "away.png").rename(image)
    command = [*source.command(tmp_path / "out", views=1), "--retry-failures"]
    assert run(monkeypatch, *command) == 0
    said = capsys.readouterr().out
    assert f"{SECOND}: attempting 2 failed rows again: 2 shards will be embedded again" in said
    assert "2 rows attempted again; 1 of them now have embeddings" in said  # bad/missing.png stays missing
    assert _files(tmp_path / "out") == alone
    assert run(monkeypatch, *command) == 0
    assert "1 row attempted again; 0 of them now have embeddings" in capsys.readouterr().out
    assert _files(tmp_path / "out") == alone
