"""How decoding processes begin; what they do is tested with the threads, in test_ahead."""

import io
import multiprocessing
import os
import pathlib
import subprocess
import sys
import time
from multiprocessing.connection import Connection

import pytest
from PIL import Image

from lit_precompute.precompute.images import processes
from lit_precompute.precompute.images.processes import PreparingProcesses
from lit_precompute.precompute.images.spent import Spent
from lit_precompute.schemas.storage import count_retried, num_retried
from lit_precompute.towers.preprocessing import Preprocessing
from tests.precompute.images.reads import keyed, read_by


def _say_what_is_loaded(answers: Connection) -> None:
    answers.send("tensorflow" in sys.modules)


@pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="processes are not forked on this system"
)
def test_the_fork_server_has_tensorflow_loaded():
    """A module to load before is named by a string; a stale name would fail silently, and cost each process seconds."""
    PreparingProcesses([Preprocessing(size=8)], num_workers=1, ahead=1).close()
    context = multiprocessing.get_context("forkserver")
    answer, answers = context.Pipe(duplex=False)
    process = context.Process(target=_say_what_is_loaded, args=(answers,))
    process.start()
    assert answer.poll(600)
    assert answer.recv()
    process.join()


def _read_at_the_second_attempt(image: bytes) -> bytes:
    count_retried(1)  # what `schemas.storage` does
    time.sleep(0.01)
    return image


def test_reads_that_a_process_tried_again_and_what_it_spent_are_counted_here(monkeypatch):
    counted = []  # also by others' threads, in this process
    monkeypatch.setattr(processes, "count_retried", lambda number: counted.append(number) or count_retried(number))
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    pool = PreparingProcesses([Preprocessing(size=8)], num_workers=2, ahead=8)
    before, spent = num_retried(), Spent()
    reads = [read_by(_read_at_the_second_attempt, stream.getvalue())] * 20
    assert len(list(pool.prepare(keyed(reads), spent))) == 20
    assert sum(counted) == 20 <= num_retried() - before
    assert spent.totals.num_bytes == 20 * len(stream.getvalue())
    assert spent.totals.read_s >= 20 * 0.01 and spent.totals.decode_s > 0
    pool.close()


def begin_and_end():
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    pool = PreparingProcesses([Preprocessing(size=8)], num_workers=1, ahead=1)
    ((image,),) = pool.prepare(keyed([read_by(_read_at_the_second_attempt, stream.getvalue())]))
    assert image.shape == (8, 8, 3)
    pool.close()


def test_the_path_of_the_temporary_folder_may_be_long(tmp_path):
    """The socket of a fork server would not fit."""
    temporary = tmp_path / (120 * "t")
    temporary.mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", "from tests.precompute.images import test_processes as here; here.begin_and_end()"],
        cwd=pathlib.Path(__file__).parents[3],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
