"""A disk that is full, of the output or of temporary files: one sentence, and the same command resumes."""

import contextlib
import re
import subprocess

import pytest

from tests.faults.jobs import content_of, embed

pytestmark = pytest.mark.slow

# Full at the claim, at the first attempt, among the shards, at the markers and at the end.
_SIZES = ("4k", "24k", "60k", "120k", "200k")


@contextlib.contextmanager
def _small(path, size):
    """Mounts a file system of a few pages; needs a user who may."""
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=False).returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def _make_room(path):
    subprocess.run(["mount", "-o", "remount,size=20m", path], check=True)


@pytest.mark.parametrize("undisturbed", ["disk"], indirect=True)
def test_an_output_whose_disk_is_full(undisturbed, forks, tmp_path, scaled):
    for size in _SIZES[-scaled(len(_SIZES) * 3) :]:
        with _small(tmp_path / size, size) as small:
            command = embed(undisturbed.source, small / "out", undisturbed.weights)
            ended = forks.run(*command)
            said = " ".join(ended.said.split())
            assert ended.status == 1, said
            assert re.search(rf"no space left on the .*{small}", said), said
            assert "Traceback" not in said
            assert not (small / "out/manifest.json").exists()
            _make_room(small)
            ended = forks.run(*command)
            assert ended.status == 0, ended.said
            assert content_of(small / "out") == undisturbed.content


@pytest.mark.parametrize("undisturbed", ["gs", "s3"], indirect=True)
def test_no_room_for_temporary_files(undisturbed, forks, tmp_path, monkeypatch):
    """Where the output is in a store, files are made here before they are uploaded."""
    with _small(tmp_path / "small", "8k") as small:
        monkeypatch.setenv("TMPDIR", str(small))
        command, output = undisturbed.command("no-room")
        ended = forks.run(*command)
        said = " ".join(ended.said.split())
        assert ended.status == 1, said
        assert re.search(rf"no space left on the .*{small}", said), said
        assert "Traceback" not in said
        _make_room(small)
        ended = forks.run(*command)
        assert ended.status == 0, ended.said
        assert content_of(output) == undisturbed.content
