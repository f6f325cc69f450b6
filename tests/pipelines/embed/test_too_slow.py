"""Images whose reading never ends: rows of failures, which another run may attempt again."""

import contextlib
import os
import subprocess
import sys

import pytest

from lit_precompute.pipelines.embed import following
from lit_precompute.pipelines.embed.following import EmbedStopped
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.options import ImageTowerOptions
from tests.flaky_server import flaky_server
from tests.pipelines.embed.making import arguments, draw_image, run, write_source
from tests.pipelines.embed.test_kill import LIMIT_S, ROOT
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]
# Enough for the other images on a busy machine: the first one that a process fetches imports a client of HTTP.
_TIMEOUT_S = 5
_MESSAGE = f"could not be read within {_TIMEOUT_S} s (--timeout-per-image)"


@pytest.mark.parametrize("decode_in", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_a_server_that_never_answers_for_one_image(tmp_path, monkeypatch, capsys, decode_in):
    with flaky_server() as server:
        server.contents |= {f"/{number}.png": draw_image(number) for number in range(20)}
        table = tmp_path / "t.csv"
        table.write_text("path,text\n" + "".join(f"{server.address}/{n}.png,{n}\n" for n in range(20)))
        given = {"weights": write_weights(tmp_path / "weights.npz"), "decode_in": decode_in}
        assert run(monkeypatch, *arguments(table, tmp_path / "alone", **given)) == 0
        server.faults["/13.png"] = ["hang"]
        command = arguments(table, tmp_path / "out", **given)
        assert run(monkeypatch, *command, "--timeout-per-image", _TIMEOUT_S) == 0
        with EmbeddingDataset.open(tmp_path / "out") as dataset:
            (failure,) = dataset.failures().to_pylist()
            assert dataset.num_rows == 19
        address = f"{server.address}/13.png"
        assert failure == {"key": address, "source": address, "reason": "too-slow", "message": _MESSAGE}
        capsys.readouterr()
        assert run(monkeypatch, *command, "--retry-failures") == 0
        assert "1 row attempted again; 1 of them now have embeddings" in capsys.readouterr().out
        assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")


def test_a_stop_while_a_read_hangs(tmp_path, monkeypatch):
    """The command ends the process in this case, instead of waiting for what does not end."""
    table = write_source(tmp_path / "source", 20, bad=False)
    (tmp_path / "source/010.png").unlink()
    os.mkfifo(tmp_path / "source/010.png")
    monkeypatch.setattr(following, "_STOP_S", 1.0)
    options = EmbedOptions(
        source=SourceSpec(str(table)),
        tower=ImageTowerOptions(name=NAME, weights=write_weights(tmp_path / "weights.npz")),
        output=str(tmp_path / "out"),
        batch_size=4,
        rows_per_shard=8,
        decoding=DecodingOptions(decode_in="threads", decode_workers=2),
    )
    register_tiny_tower()
    ends = []

    def is_reading():
        """Opens the pipe, once there is somebody to read what never comes."""
        with contextlib.suppress(OSError):
            ends.append(os.open(tmp_path / "source/010.png", os.O_WRONLY | os.O_NONBLOCK))
        return bool(ends)

    with pytest.raises(EmbedStopped, match="run the same command again to resume") as caught:
        Launch(options).run(should_stop=is_reading)
    assert caught.value.is_hanging
    for end in ends:  # which lets the read end
        os.close(end)


_PROGRAM = """
import pathlib, sys
from tests.pipelines.embed.making import arguments
from lit_precompute.commands.embed import main

if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    given = {"decode_in": sys.argv[2], "timeout_per_image": sys.argv[3]}
    sys.argv = ["lit-embed", *arguments(folder / "source/captions.tsv", folder / "out", **given)]
    main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("decode_in", ["threads", "processes"])
@pytest.mark.parametrize(("num_hanging", "timeout_s"), [(3, _TIMEOUT_S), (16, 1)])
def test_a_disk_that_never_answers(tmp_path, decode_in, num_hanging, timeout_s):
    """Opening a pipe that nobody writes to does not return, as on a file system whose server is gone."""
    write_source(tmp_path / "source", 40, bad=False)
    images = [tmp_path / f"source/{number:03d}.png" for number in range(20, 20 + num_hanging)]
    for image in images:
        image.unlink()
        os.mkfifo(image)
    script = tmp_path / "job.py"
    script.write_text(_PROGRAM)
    command = [sys.executable, "-W", "ignore", str(script), str(tmp_path), decode_in, str(timeout_s)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=environment, cwd=tmp_path
    )
    if num_hanging == 3:
        assert ended.returncode == 0, ended.stderr
        with EmbeddingDataset.open(tmp_path / "out") as dataset:
            failures = dataset.failures().to_pylist()
        assert [row["message"] for row in failures] == [_MESSAGE] * 3
        return
    assert ended.returncode == 1, ended.stderr
    assert "images of this process were neither read nor decoded within 1 s each" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
    for image in images:
        image.unlink()
        image.write_bytes(draw_image(int(image.stem)))
    assert subprocess.run(command, check=False, timeout=LIMIT_S, env=environment, cwd=tmp_path).returncode == 0
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.num_rows + dataset.failures().num_rows == 40
