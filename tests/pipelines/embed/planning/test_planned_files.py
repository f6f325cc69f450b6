"""Sources that change while they are embedded."""

import dataclasses
import os
import pathlib
import re

import pytest

from lit_precompute.pipelines.embed.directory.markers import Markers
from lit_precompute.pipelines.embed.errors import EmbedError
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.planning.planned_files import PlannedFiles, version_of
from lit_precompute.pipelines.embed.workers.publish import Publish
from lit_precompute.precompute.sources.source import SourceError
from tests.pipelines.embed.making import tiny_options
from tests.precompute.sources.webdataset.tars import write_tar
from tests.schemas.making import files_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture
def options(tmp_path):
    return tiny_options(tmp_path)


def _rewrite(path: str | pathlib.Path, old: bytes, new: bytes) -> None:
    """Rewrites a table, dated a second later: file systems may date two quick changes alike."""
    path, changed_ns = pathlib.Path(path), pathlib.Path(path).stat().st_mtime_ns
    path.write_bytes(path.read_bytes().replace(old, new))
    os.utime(path, ns=(changed_ns, changed_ns + 10**9))


@pytest.mark.parametrize("new", [b"TEXT of ", b"\xff\xff\xff\xff of "])
def test_a_table_that_changes_during_the_job_is_the_cause_and_nothing_is_published(options, tmp_path, monkeypatch, new):
    """Whether the rest of the table can still be read or not. Finished shards are of the table that was planned."""
    Launch(dataclasses.replace(options, output=str(tmp_path / "alone"))).run()
    write = Markers.write

    def changed_after_the_first_shard(self, marker):
        write(self, marker)
        if marker.info.shard == 0:
            _rewrite(options.source.path, b"text of ", new)

    monkeypatch.setattr(Markers, "write", changed_after_the_first_shard)
    path = re.escape(options.source.path)
    message = (
        rf"the job stopped: rows \d+ to \d+ of {path}: {path} changed while it was embedded: start again with another "
        r"--output$"
    )
    with pytest.raises(EmbedError, match=message) as caught:
        Launch(options).run()
    assert not caught.value.is_bug
    assert not (tmp_path / "out/manifest.json").exists()
    monkeypatch.undo()
    _rewrite(options.source.path, new, b"text of ")
    again = Launch(options)
    assert again.num_done_before > 0
    again.run()
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")


def test_a_table_that_changes_before_publishing_is_an_error(options, tmp_path, monkeypatch):
    process = Publish.process

    def changed(self, element):
        _rewrite(options.source.path, b"text of ", b"TEXT of ")
        return process(self, element)

    monkeypatch.setattr(Publish, "process", changed)
    with pytest.raises(EmbedError, match=r"publishing the dataset: .*tsv changed .* another --output$"):
        Launch(options).run()
    assert not (tmp_path / "out/manifest.json").exists()


def test_each_tar_is_compared_by_its_own_version_and_where_it_is_now(tmp_path):
    paths = [write_tar(tmp_path / f"{number}.tar", [("a.jpg", "x"), ("a.txt", "y")]) for number in range(2)]
    planned = PlannedFiles.of([f"/first{path}" for path in paths], paths)
    with planned.unchanged([f"/first{paths[0]}"]):
        _rewrite(paths[1], b"y", b"z")
    planned.check([f"/first{paths[0]}"])
    for names in (None, [f"/first{paths[1]}"]):
        with pytest.raises(SourceError, match=rf"^{re.escape(paths[1])} changed while it was embedded"):
            planned.check(names)


def test_files_that_are_elsewhere_or_gone_are_not_compared(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("path,text\na.png,a\n")
    assert version_of(f"file://{table}") == version_of(str(table))._replace(path=f"file://{table}")
    assert version_of("memory://a/t.csv") is None
    planned = PlannedFiles.of([str(table)], [str(table)])
    table.unlink()
    planned.check()
    with pytest.raises(FileNotFoundError), planned.unchanged([str(table)]):
        table.read_bytes()
