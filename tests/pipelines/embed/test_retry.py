"""`--retry-failures`: rows that failed for reasons that may pass get their embeddings, as if the reads had worked."""

import dataclasses
import json
import shutil

import pytest
from apache_beam.testing import test_pipeline

from lit_precompute.pipelines.embed import graph
from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.errors import EmbedError
from lit_precompute.pipelines.embed.job import JobError
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.look import store_listing
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
from lit_precompute.schemas import DatasetError, EmbeddingDataset, Manifest
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.storage import open_folder
from lit_precompute.schemas.storage.local_folder import LocalFolder
from lit_precompute.towers.options import ImageTowerOptions
from tests.flaky_server import flaky_server
from tests.pipelines.embed.making import arguments, draw_image, run
from tests.schemas.making import TAGS, add_table, files_of
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]
_ROWS = 40
# Rows by the number of their image: what passes, in the second and the fourth shard of eight; and what does not.
_MISSING, _REFUSED, _BAD = (9, 27), (11,), (3, 12, 35)


@pytest.fixture(scope="module")
def web():
    with flaky_server() as server:
        server.contents |= {f"/{number}.png": draw_image(number) for number in range(_ROWS)}
        server.contents |= {f"/{number}.png": b"words" for number in _BAD}
        yield server


@pytest.fixture
def server(web):
    web.faults.clear()
    web.asked.clear()
    web.fails_always = False
    return web


@pytest.fixture(scope="module")
def jobs(web, tmp_path_factory):
    """Returns the options of a job, a finished one in which all reads worked, and one in which some did not."""
    register_tiny_tower()
    folder = tmp_path_factory.mktemp("jobs")
    rows = [
        # A note about every fifth row, of failed ones too.
        {"path": f"{web.address}/{number}.png", "key": f"k{number:02d}", "texts": ["a", 7][: 1 + (number % 5 == 2)]}
        for number in range(_ROWS)
    ]
    table = folder / "t.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = EmbedOptions(
        source=SourceSpec(str(table), columns=SourceColumns(key="key")),
        tower=ImageTowerOptions(name=NAME, weights=write_weights(folder / "weights.npz")),
        output=str(folder / "whole"),
        batch_size=4,
        rows_per_shard=8,
        decoding=DecodingOptions(decode_in="threads", decode_workers=2),
    )
    Launch(options).run()
    web.faults |= {f"/{number}.png": [404] for number in _MISSING}
    web.faults |= {f"/{number}.png": [403] for number in _REFUSED}
    Launch(dataclasses.replace(options, output=str(folder / "failed"))).run()
    return options, folder


@pytest.fixture
def options(jobs, server, tmp_path):
    """Options of a job that is finished, with failures; its output is the test's own."""
    options, folder = jobs
    shutil.copytree(folder / "failed", tmp_path / "out")
    return dataclasses.replace(options, output=str(tmp_path / "out"))


@pytest.fixture
def expected(jobs):
    """The files of a job in which all reads worked."""
    return files_of(jobs[1] / "whole")


def _again(options):
    return dataclasses.replace(options, retry_failures=True)


def test_a_finished_dataset_gets_the_bytes_of_an_undisturbed_job(tmp_path, server, options, expected):
    assert Manifest.read(options.output).num_failures == 6
    said = []
    launch = Launch(_again(options), say=said.append)
    manifest = launch.run()
    assert files_of(tmp_path / "out") == expected
    assert (said, launch.datasets[0].retry.outcome(manifest)) == (
        ["attempting 3 failed rows again: 2 shards will be embedded again"],
        (3, 3),
    )
    assert launch.datasets[0].num_embedded(manifest) == 16
    # Only the rows of these shards were read.
    numbers = {int(path.strip("/").removesuffix(".png")) for _, path, _ in server.asked}
    assert numbers == {*range(8, 16), *range(24, 32)}
    assert verify(options.output) == []


def test_an_unfinished_job_gets_them_too(tmp_path, monkeypatch, server, options, expected):
    server.faults |= {f"/{number}.png": [404] for number in (*_MISSING, *_REFUSED)}
    unfinished = dataclasses.replace(options, output=str(tmp_path / "unfinished"))
    with monkeypatch.context() as patch:
        patch.setattr(JobDirectory, "publish", _fail)
        with pytest.raises(EmbedError, match="not yet"):
            Launch(unfinished).run()
    (tmp_path / "unfinished/_work/shards/00004.json").unlink()
    launch = Launch(_again(unfinished))
    manifest = launch.run()
    assert files_of(tmp_path / "unfinished") == expected
    assert launch.datasets[0].retry.outcome(manifest) == (3, 3)
    assert launch.datasets[0].num_embedded(manifest) == 24


def _fail(*_):
    raise OSError("not yet")


def test_without_such_failures_nothing_changes(jobs, server, expected):
    options, folder = jobs
    said = []
    launch = Launch(_again(options), say=said.append)
    assert launch.is_finished
    assert said == ["no row has failed for a reason that may pass"]
    assert launch.datasets[0].retry is None
    assert files_of(folder / "whole") == expected


def test_what_still_fails_stays_a_failure_and_is_counted(tmp_path, monkeypatch, server, options, capsys):
    given = {"weights": options.tower.weights, "key_column": "key"}
    command = arguments(options.source.path, options.output, **given)
    server.faults["/27.png"] = [404]
    assert run(monkeypatch, *command, "--retry-failures") == 0
    said = capsys.readouterr().out
    assert "attempting 3 failed rows again: 2 shards will be embedded again" in said
    assert "16 rows in " in said
    assert "3 rows attempted again; 2 of them now have embeddings" in said
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        reasons = {row["key"]: row["reason"] for row in dataset.failures().to_pylist()}
    assert reasons == {"k03": "not-a-picture", "k12": "not-a-picture", "k27": "missing", "k35": "not-a-picture"}
    server.faults |= {"/26.png": [404], "/27.png": [404]}
    assert run(monkeypatch, *command, "--retry-failures") == 0
    assert "1 row attempted again; 1 row more than before failed" in capsys.readouterr().out
    assert run(monkeypatch, *command, "--retry-failures") == 0
    assert "2 rows attempted again; 2 of them now have embeddings" in capsys.readouterr().out
    assert run(monkeypatch, *command, "--retry-failures") == 0
    said = capsys.readouterr().out
    assert "no row has failed for a reason that may pass" in said and "nothing was left to do" in said


class _Killed(BaseException):
    pass


_STEPS = ["_work/shards/00004.json", "_work/tower.json", "_work/batch-size.json", "_work/units-", "_work/job.json"]


@pytest.mark.parametrize("step", [*_STEPS, "manifest.json"])
def test_a_kill_before_the_manifest_is_withdrawn_leaves_the_finished_dataset(
    tmp_path, monkeypatch, jobs, options, expected, step
):
    """The plain command says that it is finished, and --retry-failures begins anew."""
    _kill(monkeypatch, options, step)
    assert [fault for fault in verify(options.output) if "/_work/" not in fault] == []
    shutil.copytree(options.output, tmp_path / "other")
    Launch(dataclasses.replace(options, output=str(tmp_path / "other"))).run()
    assert files_of(tmp_path / "other") == files_of(jobs[1] / "failed")
    assert Launch(_again(options)).run().num_failures == 3
    assert files_of(tmp_path / "out") == expected


@pytest.mark.parametrize("again", [False, True])
def test_a_kill_after_it_leaves_a_job_that_the_plain_command_resumes(tmp_path, monkeypatch, options, expected, again):
    _kill(monkeypatch, options, "manifest.json gone")
    with pytest.raises(DatasetError, match="this is an unfinished job; run its command again to resume"):
        Manifest.read(options.output)
    assert Launch(_again(options) if again else options).run().num_failures == 3
    assert files_of(tmp_path / "out") == expected


def _kill(monkeypatch, options, step):
    with monkeypatch.context() as patch:
        for name in ("write", "create", "remove"):
            patch.setattr(LocalFolder, name, _killed_at(step, getattr(LocalFolder, name)))
        with pytest.raises(_Killed):
            Launch(_again(options)).run()


def _killed_at(step, act):
    """Returns what a folder does, until it is about to touch the step's file; or has just removed it."""
    name, _, is_gone = step.partition(" ")

    def acting(self, first, *more):
        if first.startswith(name) and not is_gone:
            raise _Killed
        result = act(self, first, *more)
        if first.startswith(name) and is_gone and act.__name__ == "remove":
            raise _Killed
        return result

    return acting


def test_an_error_while_it_embeds_again_is_mended_by_the_plain_command(tmp_path, monkeypatch, options, expected):
    with monkeypatch.context() as patch:
        patch.setattr(JobDirectory, "publish", _fail)
        with pytest.raises(EmbedError, match="not yet"):
            Launch(_again(options)).run()
    (tmp_path / "out/_work/shards/00003.json").unlink()
    launch = Launch(options)
    assert not launch.is_finished
    launch.run()
    assert files_of(tmp_path / "out") == expected


def test_where_only_workers_can_look_the_one_that_has_the_plan_withdraws_the_manifest(tmp_path, options, expected):
    source = make_source(options.source)
    launch = LaunchOptions(embed=_again(options), source=source, name="launch")
    for _ in range(2):  # a second attempt finds nothing to withdraw
        listing = store_listing(open_folder(options.output), source.files())
        with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
            graph.build(pipeline, launch, listing, 1)
        assert files_of(tmp_path / "out") == expected


def test_a_limit_on_rows_is_kept(tmp_path, server, options):
    limited = dataclasses.replace(options, output=str(tmp_path / "limited"), limit=13)
    server.faults |= {"/9.png": [404], "/11.png": [403]}
    assert Launch(limited).run().num_failures == 4
    with pytest.raises(ValueError, match="--limit is 13 there"):
        Launch(dataclasses.replace(_again(limited), limit=None))
    assert Launch(_again(limited)).run().num_failures == 2
    Launch(dataclasses.replace(limited, output=str(tmp_path / "alone"))).run()
    assert files_of(tmp_path / "limited") == files_of(tmp_path / "alone")


def test_a_limit_on_failures_that_cannot_be_kept_is_refused_before_anything_changes(tmp_path, server, options):
    before = files_of(tmp_path / "out")
    with pytest.raises(JobError, match="--max-failures allows 2, and 3 rows failed for reasons that do not pass"):
        Launch(dataclasses.replace(_again(options), max_failures="2"))
    assert files_of(tmp_path / "out") == before
    server.faults["/27.png"] = [404]
    with pytest.raises(EmbedError, match="4 rows failed, --max-failures allows 3"):
        Launch(dataclasses.replace(_again(options), max_failures="3")).run()
    assert not (tmp_path / "out/manifest.json").exists()
    assert Launch(options).run().num_failures == 4


def test_a_dataset_that_is_not_as_the_job_left_it_is_not_withdrawn(tmp_path, server, options):
    manifest = Manifest.read(options.output)
    shutil.copytree(tmp_path / "out", tmp_path / "whole")
    add_table(tmp_path / "out", TAGS, {"tags": [["a"]] * manifest.num_rows})
    with pytest.raises(JobError, match=r"has the tables \[.*'tags'\], and the job writes"):
        Launch(_again(options)).run()
    assert (tmp_path / "out/manifest.json").exists()
    (tmp_path / "whole/captions/part-00000.arrow").unlink()
    with pytest.raises(DatasetError, match=r"captions/part-00000.arrow: the file is missing"):
        Launch(dataclasses.replace(_again(options), output=str(tmp_path / "whole"))).run()
    assert (tmp_path / "whole/manifest.json").exists()


def test_notes_are_those_of_their_shards(jobs, options):
    """Of row 27 there is a note once it has an embedding."""
    what = "'texts' contains a number, left out"
    before = Manifest.read(options.output)
    assert [(note.what, note.count) for note in before.notes] == [(what, 6)]
    assert {shard: [note.count for note in notes] for shard, notes in before.shards.notes.items()} == {
        0: [2],
        2: [2],
        4: [2],
    }
    after = Launch(_again(options)).run()
    assert [(note.what, note.count, note.first) for note in after.notes] == [(what, 7, "k02")]
    assert after.shards.notes[3][0].first == "k27"
