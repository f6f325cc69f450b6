"""Launches from Python: progress, stopping, resuming, failures."""

import dataclasses
import os
import re
import subprocess
import threading

import pytest

from lit_precompute.pipelines.embed.directory.markers import Markers
from lit_precompute.pipelines.embed.errors import EmbedError
from lit_precompute.pipelines.embed.following import EmbedStopped
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.workers.process_registry import PROCESS
from lit_precompute.precompute.embedding import TowerUse
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.claims import ClaimError
from tests.pipelines.embed.making import tiny_options
from tests.schemas.making import files_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture
def options(tmp_path):
    return tiny_options(tmp_path)


def test_a_stopped_job_is_resumed_by_the_next_launch(options, tmp_path):
    alone = dataclasses.replace(options, output=str(tmp_path / "alone"))
    Launch(alone).run()
    with pytest.raises(EmbedStopped, match="run the same command again to resume"):
        _stopped_before_the_first_batch(options)
    again = Launch(options)
    assert not again.is_finished
    assert again.run().num_rows == 40
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")
    assert Launch(options).is_finished


def _stopped_before_the_first_batch(options):
    """Runs the job, holding its images back until it knows of the stop."""
    asked = threading.Event()
    embedder = PROCESS.embedder(options.tower, options.batch_size)
    use = TowerUse(embedder=embedder, vector_type=options.vector_type)
    preparer = PROCESS.preparer([use], options.decoding)
    prepare = preparer.prepare

    def prepare_later(reads, spent=None):
        assert asked.wait(30)
        return prepare(reads, spent)

    def should_stop():
        return True

    preparer.prepare = prepare_later
    try:
        Launch(options).run(lambda progress: asked.set(), should_stop)  # reports after it has asked should_stop
    finally:
        del preparer.prepare


@pytest.mark.parametrize("inside", ["source/out", "source"])
def test_an_output_in_the_folder_of_images_is_refused_before_any_work(options, tmp_path, inside):
    source = dataclasses.replace(options.source, path=f"{tmp_path}/source/", format="folder")
    output = tmp_path / inside
    with pytest.raises(
        ClaimError, match=f"{output}: (is in the folder of images that is to be|contains files that do)"
    ):
        Launch(dataclasses.replace(options, source=source, output=str(output)))
    assert not (tmp_path / "source/out").exists()


def test_too_many_failures_are_an_error_that_lists_them(options):
    with pytest.raises(EmbedError, match=r"rows failed, --max-failures allows 2: .*1 empty \(first: bad/empty.png\)"):
        Launch(dataclasses.replace(options, max_failures="2")).run()
    manifest = Launch(dataclasses.replace(options, max_failures="100%")).run()
    assert (manifest.num_rows, manifest.num_failures) == (40, 5)
    assert verify(options.output) == []


def test_an_error_in_a_worker_is_one_sentence_with_its_rows(options, tmp_path):
    launch = Launch(options)
    (tmp_path / "out/embeddings").write_text("in the way")
    where = f"rows 1 to 8 of {options.source.path}: {tmp_path}/out/embeddings"
    message = f"the job stopped: {where}: File exists. Finished shards"
    with pytest.raises(EmbedError, match=re.escape(message)) as caught:
        launch.run()
    assert not caught.value.is_bug
    assert list((tmp_path / "out/_work/temporary").iterdir()) == []  # half-written files would fill the disk
    (tmp_path / "out/embeddings").unlink()
    assert Launch(options).run().num_rows == 40


def test_a_bug_is_told_from_an_error(options, monkeypatch):
    def broken(*_):
        raise KeyError("width")

    monkeypatch.setattr(Markers, "write", broken)
    with pytest.raises(EmbedError, match=r"rows 1 to 8 of .*: KeyError: 'width'\. Finished shards") as caught:
        Launch(options).run()
    assert caught.value.is_bug


@pytest.fixture
def absent(options, tmp_path):
    """Options of a job whose images are all absent, as if their folder were not mounted, and a way to bring them."""
    table, images = tmp_path / "source/captions.tsv", tmp_path / "elsewhere"
    table.parent.rename(images)
    table.parent.mkdir()
    table.write_bytes((images / table.name).read_bytes())

    def mount():
        table.unlink()
        table.parent.rmdir()
        images.rename(table.parent)

    return options, mount


@pytest.mark.parametrize("stopped_early", [False, True])
def test_a_job_of_which_every_row_failed_starts_anew_once_the_cause_is_mended(absent, tmp_path, stopped_early):
    options, mount = absent
    message = (
        "no row was embedded; all 45 failed: 45 missing (first: bad/empty.png). For example bad/empty.png: no such "
        f"file: {tmp_path}/source/bad/empty.png. Mend the cause and run the same command again"
    )
    for _ in range(2):
        with pytest.raises(EmbedError, match=re.escape(message)):
            Launch(options).run()
    assert not (tmp_path / "out/manifest.json").exists()
    if stopped_early:
        for marker in list((tmp_path / "out/_work/shards").iterdir())[2:]:
            marker.unlink()
    mount()
    said = []
    manifest = Launch(options, say=said.append).run()
    assert said == ["no row was embedded so far: starting again"]
    assert (manifest.num_rows, manifest.num_failures) == (40, 5)
    assert verify(options.output) == []


def test_too_many_failures_come_before_no_rows(absent):
    options, _ = absent
    with pytest.raises(EmbedError, match="45 rows failed, --max-failures allows 44: 45 missing"):
        Launch(dataclasses.replace(options, max_failures="44", rows_per_shard=64)).run()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk_is_one_sentence_and_the_job_resumes_once_there_is_room(options, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no tmpfs here")
    try:
        options = dataclasses.replace(options, output=str(small / "out"))
        message = rf"rows \d+ to \d+ of .*: no space left on the file system at {small} \(0.1 MB in all\), writing "
        with pytest.raises(EmbedError, match=message) as caught:
            Launch(options).run()
        assert not caught.value.is_bug
        assert list((small / "out/_work/temporary").iterdir()) == []
        assert Launch(options).num_done_before > 0
        subprocess.run(["mount", "-o", "remount,size=50m", str(small)], check=True)
        assert Launch(options).run().num_rows == 40
        assert verify(options.output) == []
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_disk_that_holds_no_more_files_is_told_from_one_without_room(options, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=50m,nr_inodes=16", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no tmpfs here")
    try:
        message = rf": no more files can be created on the file system at {small} \(16 in all\), writing "
        with pytest.raises(EmbedError, match=message):
            Launch(dataclasses.replace(options, output=str(small / "out"))).run()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"source": "t.csv"},
            r"source must be SourceSpec, such as SourceSpec\(.*\) or parse_source\(.*\), got 't.csv'",
        ),
        ({"tower": "vit_b16"}, "tower must be ImageTowerOptions, such as .*, got 'vit_b16'"),
        ({"batch_size": "8"}, "--batch-size must be a whole number, got '8'"),
    ],
)
def test_options_of_another_type_are_refused_where_they_are_made(options, changed, message):
    with pytest.raises(TypeError, match=message):
        dataclasses.replace(options, **changed)


@pytest.mark.parametrize("flags", ["--runner=DaskRunner", {"runner": "DaskRunner"}])
def test_flags_that_are_no_list_are_refused(options, flags):
    with pytest.raises(TypeError, match=r"beam_flags must be a list, such as \['--runner=DaskRunner'\], got "):
        Launch(options, beam_flags=flags)
