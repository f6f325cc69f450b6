"""Jobs over images on a server: a fault of a moment costs only time, a lasting one stops the job, to be resumed."""

import dataclasses
import functools

import pytest

from lit_precompute.pipelines.embed.errors import EmbedError
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning import found_source
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import Patience, open_file
from lit_precompute.towers.options import ImageTowerOptions
from tests.flaky_server import flaky_server
from tests.pipelines.embed.making import arguments, draw_image, run
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]
QUICK = Patience(first_pause_s=0.001, max_attempts=3)
_ROWS = 20


@pytest.fixture
def server():
    with flaky_server() as server:
        server.contents |= {f"/{number}.png": draw_image(number) for number in range(_ROWS)}
        yield server


@pytest.fixture
def options(tmp_path, server):
    register_tiny_tower()
    table = tmp_path / "t.csv"
    table.write_text("path,text\n" + "".join(f"{server.address}/{number}.png,{number}\n" for number in range(_ROWS)))
    return EmbedOptions(
        source=SourceSpec(str(table)),
        tower=ImageTowerOptions(name=NAME, weights=write_weights(tmp_path / "weights.npz")),
        output=str(tmp_path / "out"),
        batch_size=4,
        rows_per_shard=8,
        decoding=DecodingOptions(decode_in="threads", decode_workers=4),
    )


@pytest.mark.parametrize("decode_in", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_a_server_that_fails_once_costs_no_row_and_changes_no_byte(tmp_path, server, options, decode_in):
    Launch(dataclasses.replace(options, output=str(tmp_path / "alone"))).run()
    for path in ("/3.png", "/9.png", "/17.png"):
        server.faults[path] = [503]
    decoding = DecodingOptions(decode_in=decode_in, decode_workers=2)
    launch = Launch(dataclasses.replace(options, decoding=decoding))
    assert launch.run().num_rows == _ROWS
    assert launch.num_retried == 3
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")


def test_the_command_says_how_many_reads_it_retried(tmp_path, monkeypatch, server, options, capsys):
    server.faults["/3.png"] = [503]
    assert run(monkeypatch, *arguments(tmp_path / "t.csv", tmp_path / "out", options.tower.weights)) == 0
    assert "\n1 read retried, because" in capsys.readouterr().out


def test_a_server_that_stays_down_stops_the_job_which_then_resumes(tmp_path, server, options, monkeypatch):
    Launch(dataclasses.replace(options, output=str(tmp_path / "alone"))).run()
    server.faults["/17.png"], server.fails_always = [503], True
    make_source = found_source.make_source
    impatient = functools.partial(open_file, patience=QUICK)
    monkeypatch.setattr(found_source, "make_source", lambda spec, **how: make_source(spec, opener=impatient, **how))
    message = rf"{server.address}/17.png: the server says 503 .*, after 3 attempts.*Finished shards are kept"
    with pytest.raises(EmbedError, match=message):
        Launch(options).run()
    assert not (tmp_path / "out/manifest.json").exists()
    server.faults.clear()
    assert Launch(options).run().num_failures == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")
