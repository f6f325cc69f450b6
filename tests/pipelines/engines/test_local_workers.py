"""Worker threads and processes of the local runner: equal bytes, and only the launcher's message on standard error.

The command runs in this process, as its start takes longer than the job; what worker processes print is captured, too.
"""

import logging
import pathlib
import re
import shutil

import pytest

from lit_precompute.pipelines.embed.reporting.job_report import read_report
from lit_precompute.schemas.storage import open_folder
from tests.pipelines.embed.making import arguments, run, write_source
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME, write_weights

ROOT = pathlib.Path(__file__).parents[3]
MODES = pytest.mark.parametrize("mode", ["multi_processing", "multi_threading"])

_TOWERS = "from tests.towers import tiny_tower\ntiny_tower.register_tiny_tower()\n"

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    write_weights(folder / "weights.npz")
    return write_source(folder, 20)


@pytest.fixture
def launch(table, tmp_path, monkeypatch, capfd):
    """Returns a function that runs lit-embed; it returns the status and all of standard error."""
    (tmp_path / "towers_of_processes.py").write_text(_TOWERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")  # of worker processes

    def launch(output, *more):
        given = arguments(table, tmp_path / output, table.parent / "weights.npz", tower=f"towers_of_processes:{NAME}")
        status = run(monkeypatch, *given, *more)
        return status, capfd.readouterr().err

    loggers = [logging.getLogger(), logging.getLogger("lit_precompute")]
    levels = [logger.level for logger in loggers]
    yield launch
    for logger, level in zip(loggers, levels, strict=True):  # --debug changes them
        logger.setLevel(level)


def _workers(mode):
    return "--direct_num_workers=2", f"--direct_running_mode={mode}"


@pytest.mark.slow
@MODES
def test_a_good_job_prints_no_error_and_gives_the_same_bytes(launch, tmp_path, mode):
    assert launch("alone") == (0, "")
    assert launch("out", *_workers(mode)) == (0, "")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")
    report, alone = (read_report(open_folder(tmp_path / name)) for name in ("out", "alone"))
    assert [launch.runner for launch in report.launches] == ["FnApiRunner"]
    assert (report.rows_read, report.num_units, report.num_attempts) == (25, 4, 4)
    assert (report.bytes_read, report.bytes_written) == (alone.bytes_read, alone.bytes_written)
    assert report.seconds.decoding > 0 and report.seconds.device > 0


@pytest.mark.slow
@MODES
def test_a_job_that_a_worker_stops_prints_one_sentence(launch, table, tmp_path, mode):
    assert launch("out", *_workers("multi_threading"), "--max-failures=0")[0] == 1
    shutil.rmtree(tmp_path / "out/embeddings")
    (tmp_path / "out/embeddings").write_text("in the way")
    status, said = launch("out", *_workers(mode))
    assert status == 1
    assert re.fullmatch(
        rf"error: the job stopped: rows \d+ to \d+ of {table}: {tmp_path}/out/embeddings: File exists. Finished "
        r"shards are kept: run the same command again to resume\n",
        said,
    )
    if mode == "multi_threading":
        status, said = launch("out", *_workers(mode), "--debug")
        assert status == 1 and "Traceback" in said and "apache_beam" in said
