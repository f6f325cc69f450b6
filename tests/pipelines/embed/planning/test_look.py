"""Looking into files on workers: the same plan as in one process, whoever looks first."""

import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.graph import look
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.groups import Group
from lit_precompute.pipelines.embed.planning.look import store_listing
from lit_precompute.pipelines.embed.planning.plan import make_plan
from lit_precompute.precompute.sources.looking import look_into
from lit_precompute.precompute.sources.planning import hash_keys
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import open_folder
from lit_precompute.towers.options import ImageTowerOptions
from tests.pipelines.embed.fake_source import FakeSource

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


def _launch(source, output):
    options = EmbedOptions(
        source=SourceSpec("fake"), tower=ImageTowerOptions(name="any"), output=str(output), rows_per_shard=4
    )
    return LaunchOptions(embed=options, source=source, name="launch")


def _run(source, output, check=lambda groups: None):
    launch = _launch(source, output)
    files = source.files()
    listing = store_listing(open_folder(output), files)
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        check(look(pipeline, launch, listing, len(files)))


def test_workers_store_the_plan_that_one_process_makes(tmp_path):
    source = FakeSource({f"part-{n:02d}": [f"{n}/{row}" for row in range(1 + n % 7)] for n in range(40)})
    looked = look_into(source, 4)
    expected = make_plan(source, looked.files, looked.looks, looked.survey, rows_per_unit=4)
    _run(source, tmp_path, lambda groups: assert_that(groups, equal_to([Group(0, 0, len(expected.units))])))
    assert JobDirectory(str(tmp_path)).plan() == expected


def test_a_key_that_repeats_in_any_two_files_is_named(tmp_path):
    keys = {f"part-{n:02d}": [f"{n}/{row}" for row in range(5)] for n in range(30)}
    keys["part-29"][3] = "2/1"
    with pytest.raises(Exception, match=r"keys must be unique, '2/1' was first seen at part-02; rename one"):
        _run(FakeSource(keys), tmp_path)
    assert JobDirectory(str(tmp_path)).plan() is None


def test_equal_hashes_of_different_keys_are_no_repeat(tmp_path, monkeypatch):
    """Of a billion keys, some pair has equal hashes in one of forty sources."""
    import tests.pipelines.embed.fake_source as module

    monkeypatch.setattr(module, "hash_keys", lambda keys: hash_keys(key[:3] for key in keys))
    source = FakeSource({"part-0": ["abc1", "abd"], "part-1": ["abc2", "abe"]})
    _run(source, tmp_path)
    plan = JobDirectory(str(tmp_path)).plan()
    assert plan is not None and plan.num_rows == 4


def test_a_damaged_file_is_named(tmp_path):
    with pytest.raises(Exception, match=r"looking into part-1: part-1: is damaged"):
        _run(FakeSource({"part-0": ["a"], "part-1": []}), tmp_path)
